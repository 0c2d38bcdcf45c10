"""Recompute the stored results under book/results that the pages render (`make results`)."""

from dataclasses import asdict

from support import paper, results
from support.experiments import TheoremSetting


def row_1(table):
    """Row 1 of Tables 1 and 2 by the released rule and seeds (seconds)."""
    name = f"{table}.ssm_theorem1"
    setting = TheoremSetting.of_table(table)
    seeds = paper.setting(name)["released_seeds"]
    key = results.make_key(
        name,
        settings=asdict(setting),
        seeds=seeds,
        rule="released",
        precision="float64",
        device="cpu",
        libraries=["numpy", "scipy"],
    )
    return results.store(key, setting.cell(seeds))


if __name__ == "__main__":
    for table in ("table1", "table2"):
        print("stored", row_1(table).name)
