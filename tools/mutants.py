"""How many mutants of `support/` the quick tests kill, and which of the others are explained.

Reads what `mutmut run` left in `mutants/`. A mutant that survives is either told in
`tests/mutants.toml`, by its function and the line it changed (patterns, since some reasons hold in
many places), with the reason why no test can or should tell it from the original; or it is listed
here, and a test is wanted.
"""

import fnmatch
import re
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parents[1]
REASONS = ROOT / "tests" / "mutants.toml"
LEAST = 0.9  # of all mutants


def function(mutant):
    """Where a mutant is: "support.ssm.xǁSSMǁcall__mutmut_9" to "ssm.SSM.call"."""
    path = mutant.removeprefix("support.").rsplit("__mutmut_", 1)[0]
    return re.sub(r"\.x_?ǁ?", ".", path, count=1).replace("ǁ", ".")


def change(mutant, path):
    """The lines that a mutant has and the original has not, as one."""
    lines = get_diff_for_mutant(mutant, path=path).splitlines()
    return " ".join(line[1:].strip() for line in lines if re.match(r"\+(?!\+\+)", line))


def results():
    """(module, mutant, status) of every mutant."""
    for meta in sorted((ROOT / "mutants/support").glob("*.meta")):
        data = SourceFileMutationData(path=Path("support", meta.stem))
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            yield data.path, mutant, status_by_exit_code[code]


def explained(reasons, where, line):
    """The reasons that are given for a line, each with its `where` (glob) and `line` (regex)."""
    return [
        reason
        for reason in reasons
        if fnmatch.fnmatch(where, reason["where"]) and re.search(reason["line"], line)
    ]


def main():
    reasons = tomllib.loads(REASONS.read_text())["reasons"]
    counts, unexplained, used = defaultdict(Counter), [], []
    for path, mutant, status in results():
        counts[path.stem][status] += 1
        if status in ("survived", "no tests"):
            told = function(mutant), change(mutant, path)
            used += (found := explained(reasons, *told))
            if not found:
                unexplained.append((*told, status))
    total = sum(counts.values(), Counter())
    if not total:
        sys.exit("no mutants have been run; run: make mutants")
    for name, found in [*counts.items(), ("all", total)]:
        killed = found["killed"] + found["timeout"]
        others = ", ".join(f"{n} {status}" for status, n in found.items() if status != "killed")
        share = f"{killed:5} of {found.total():5}, {killed / found.total():4.0%}"
        print(f"{name:14} {share}  {others}")
    for where, line, status in unexplained:
        print(f"{where} ({status}): {line}")
    for reason in reasons:
        if reason not in used:
            print(f"no such survivor any more: {reason['where']}: {reason['line']}")
    share = (total["killed"] + total["timeout"]) / total.total()
    if share < LEAST:
        sys.exit(f"{share:.1%} killed; wanted: {LEAST:.0%}")


if __name__ == "__main__":
    main()
