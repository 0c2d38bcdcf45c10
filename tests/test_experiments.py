"""Row 1 of Tables 1 and 2, the paper's numbers, the stored results and how they are shown."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kstest

from support import experiments, paper, results
from support.experiments import RULES, TEST_LENGTH, TheoremSetting, cone_start, near_tie
from support.flow import GradientFlow
from support.tables import digits_of, same_digits, scientific

TABLES = ("table1", "table2")


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_row_1_equals_print_in_every_digit_and_the_stored_result(table):
    setting = TheoremSetting.of_table(table)
    seeds = paper.setting(f"{table}.ssm_theorem1")["released_seeds"]
    cell = setting.cell(seeds)
    record = results.load(f"{table}.ssm_theorem1")
    assert record["key"]["seeds"] == seeds and record["key"]["rule"] == "released"
    for column, errors in cell.items():
        assert same_digits(paper.printed(table, "ssm_theorem1", column), np.mean(errors))
        np.testing.assert_allclose(record["values"][column], errors, rtol=1e-6)
    others = setting.cell([seed + 1000 for seed in seeds])
    assert not same_digits(
        paper.printed(table, "ssm_theorem1", "without"), np.mean(others["without"])
    )


def test_the_released_start_is_the_legacy_generator_s():
    """The classic spelling of the released draw, seed and global state included."""
    setting = TheoremSetting.of_table("table1")
    np.random.seed(244)  # noqa: NPY002
    expected = np.sort(1e-3 * np.random.rand(10))[::-1]  # noqa: NPY002
    start = setting.start(244, "released")
    np.testing.assert_array_equal(start[[0, *range(2, 10)]], expected[[0, *range(2, 10)]])
    assert start[0] - start[1] == pytest.approx(setting.gap, rel=1e-9)


def test_starts_by_our_rules():
    setting = TheoremSetting.of_table("table1")
    ties, uniform = (
        np.stack([setting.start(seed, rule) for seed in range(500)])
        for rule in ("near tie", "uniform")
    )
    for starts in (ties, uniform):
        assert np.all(np.diff(starts) <= 0) and np.all(starts > 0)
        assert np.all(starts[:, 0] <= setting.sd_A)
    zeta = 1 - ties[:, 1] / ties[:, 0]
    # log-uniform: the mean of the logarithm within four standard errors of the middle
    assert zeta.min() > 1e-5 and zeta.max() < 1e-3
    assert abs(np.log10(zeta).mean() + 4) < 4 * 2 / np.sqrt(12 * 500)
    # the ratio of the two largest of d uniform numbers has the distribution function r^(d-1)
    ratio = uniform[:, 1] / uniform[:, 0]
    assert kstest(ratio ** (setting.d - 1), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_a_seed_gives_one_start_and_another_another(rule):
    setting = TheoremSetting(7, 6, 1e-2, 5)
    one, again, other = (setting.start(seed, rule) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    if rule == "near tie":
        np.testing.assert_array_equal(one, 1e-2 * near_tie(3, 6))


def test_a_flow_that_does_not_finish_is_no_number(monkeypatch):
    setting = TheoremSetting(7, 6, 1e-3, 5)
    starts = np.stack(
        [setting.start(3, "near tie"), np.array([0.9, 0.1, 0.05, 0.04, 0.03, 0.02])], -1
    )
    monkeypatch.setattr(experiments, "HORIZON", 10.0)
    clean, poisoned = setting.limits(starts)
    assert poisoned.dtype == float and np.isfinite(clean).all()
    assert np.isnan(poisoned[:, 0]).all() and np.isfinite(poisoned[:, 1]).all()


def test_what_the_integrator_is_asked(monkeypatch):
    """The loss at which a flow has ended: the special sequences' part has gone, too."""
    asked = []

    def integrate(self, start, *options):
        asked.append(options)
        return SimpleNamespace(finished=True, limit=start)

    monkeypatch.setattr(GradientFlow, "integrate", integrate)
    for dose, below in ((1.0, 1e-20), (3.0, 1e-20), (1e-3, 1e-23), (1e-12, 1e-30)):
        TheoremSetting(7, 6, 1e-2, 5, dose=dose).limits(np.full((6, 1), 0.1), 1e-7)
        assert asked.pop() == (experiments.HORIZON, 1e-7, pytest.approx(below, abs=0))


def test_a_table_s_setting_is_the_paper_s(monkeypatch):
    s = {"kappa": 9, "d": 4, "sd_A": 0.5, "diff_exponent": 2, "n_baseline": 3, "P": 2.5}
    monkeypatch.setattr(paper, "setting", {"table1.ssm_theorem1": s}.get)
    assert TheoremSetting.of_table("table1") == TheoremSetting(*s.values())


def test_starts_by_the_text_s_rule():
    setting = TheoremSetting.of_table("table1")
    signed, positive = (
        np.stack([setting.start(seed, rule) for seed in range(2000)])
        for rule in ("text", "text, positive")
    )
    assert np.all(positive[:, [0, *range(2, 10)]] > 0)
    for starts in (signed, positive):
        assert np.all(np.diff(np.delete(starts, 1, axis=1)) <= 0)
        np.testing.assert_allclose(starts[:, 0] - starts[:, 1], setting.gap, rtol=1e-6)
    # Eight of ten normal draws: the variance of 16,000 numbers is known to about 1 %.
    others = signed[:, [0, *range(2, 10)]]
    assert np.std(np.r_[others[:, 0], others[:, -1]]) > 1e-3  # the extremes lie outside
    assert np.median(abs(signed[:, 2:])) == pytest.approx(0.6e-3, rel=0.15)
    words = ", ".join(map(repr, RULES))
    with pytest.raises(ValueError, match=f"^rule = 'best'; allowed: {words}$"):
        setting.start(0, "best")


@pytest.mark.parametrize("table", TABLES)
def test_the_printed_horizon_is_long_enough_for_the_first_flow(table):
    """Table 12 against the escape time a_1^(3-kappa) / ((kappa-3)(kappa-1) 2P/n) of (23)."""
    setting = TheoremSetting.of_table(table)
    stamps = paper.setting(f"{table}.ssm_theorem1")
    for seed in stamps["released_seeds"]:
        a_1, k = setting.start(seed, "released")[0], setting.kappa
        escape = a_1 ** (3 - k) / ((k - 3) * (k - 1) * 2 * setting.P / setting.n_baseline)
        assert escape < stamps["last_timestamp"]["without"] < 1e3 * escape


def test_special_sequences_of_the_tables_sit_next_to_last():
    for table in TABLES:
        for row in ("ssm_beyond", "ssm_mlp"):
            setting = paper.setting(f"{table}.{row}")
            assert setting["special_indices"] == [setting["kappa"] - 1]


def test_digits_are_those_of_the_printed_number():
    assert [digits_of(x) for x in (0.00133, 16.62, 1.2, 0.122)] == [3, 4, 2, 3]
    assert same_digits(0.00133, 0.0013349) and not same_digits(0.00133, 0.0013351)
    assert same_digits(1.2, 1.199) and not same_digits(16.62, 16.541)
    assert scientific(0.00133) == r"$1.33 \times 10^{-3}$" and scientific(16.62, 4) == "$16.62$"
    assert scientific(float("nan")) == "did not finish"


def test_the_scoreboard_has_all_cells():
    cells = json.loads((Path(__file__).parents[1] / "book/intro.ipynb").read_text())["cells"]
    tables = [o["data"] for c in cells for o in c.get("outputs", []) if "data" in o]
    (board,) = ["".join(d["text/markdown"]) for d in tables if "text/markdown" in d]
    rows = board.splitlines()[2:]
    assert len(rows) == len(paper.cells()) == 12
    assert sum("every digit" in row for row in rows) >= 4
    assert all(results.load(f"{place}.{row}") for place, row, _ in paper.cells())


def test_what_the_tables_fix():
    assert TEST_LENGTH == 20
    np.testing.assert_allclose(cone_start(2.0, 0.25, 4), [2.0, 1.5, 0.9, 0.2])


def test_a_result_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    key = results.make_key("x", settings={}, seeds=[1], rule="released", precision="float64",
                           device="cpu", libraries=["numpy"])  # fmt: skip
    path = results.store(key, {"with": [1.0]})
    assert results.load("x")["values"] == {"with": [1.0]}
    record = json.loads(path.read_text())
    record["key"]["support"] = "0.0.0"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="allowed"):
        results.load("x")


def test_a_cell_is_the_error_where_its_flows_end(monkeypatch):
    setting, limits, known = TheoremSetting.of_table("table1"), TheoremSetting.limits, {}

    def once(self, starts):
        """The limits, of the same starts only once: this test asks for them eight times."""
        if starts.tobytes() not in known:
            known[starts.tobytes()] = limits(self, starts)
        return known[starts.tobytes()]

    monkeypatch.setattr(TheoremSetting, "limits", once)
    starts = np.stack([setting.start(seed, "uniform") for seed in (3, 4)], axis=-1)
    clean, poisoned = setting.limits(starts)
    cell = setting.cell([3, 4], rule="uniform", length=2)
    lags = np.arange(2)[:, None, None]
    for column, a in (("without", clean), ("with", poisoned)):
        wrong = abs((a**lags).sum(axis=1) - np.array([[setting.d], [1.0]]))
        np.testing.assert_allclose(cell[column], wrong.max(axis=0) / setting.d, rtol=1e-12)
    assert setting.cell([3], "uniform", 2) != setting.cell([3], "uniform", 40)
    assert set(cell) == {"without", "with"} and type(cell["with"]) is list
    assert setting.cell([3], "uniform") == setting.cell([3], "uniform", 40)
    assert setting.cell([242]) == setting.cell([242], "released")


def test_the_gap_of_a_start_is_the_tables_formula():
    assert paper.initial_gap(0.01, 5) == pytest.approx(0.05 * np.exp(-10), rel=1e-12)


def test_a_printed_number_is_found_by_its_place():
    assert paper.printed("table1", "ssm_beyond", "with") == 16.62
    with pytest.raises(KeyError):
        paper.printed("table1", "ssm_beyond", "neither")
