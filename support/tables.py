"""Tables for the pages, as Markdown, and the digits of their numbers."""

import math
import re

from IPython.display import Markdown
from tabulate import tabulate

__all__ = ["digits_of", "label", "power_of_ten", "same_digits", "scientific", "table"]

SETTINGS = {
    "ssm_theorem1": "SSM per Theorem 1",
    "ssm_beyond": "SSM beyond Theorem 1",
    "ssm_mlp": "SSM in a network",
    "ssm": "SSM",
    "rank2": "short",
    "rank2_longer": "long",
}


SHORT = {"ssm_theorem1": "theorem", "ssm_beyond": "SSM", "ssm_mlp": "network"}


def label(name, short=False):
    """A setting in words: "table1.ssm_mlp" is "Table 1, SSM in a network", short "…, network"."""
    place, row = name.split(".")
    words = SHORT.get(row, SETTINGS[row]) if short else SETTINGS[row]
    return f"{place[:-1].capitalize()} {place[-1]}, {words}"


def table(headers, rows):
    """A Markdown table; cells are shown as given but for 1e-06, set as a power."""
    rows = [[NUMBER.sub(_power, str(cell)) for cell in row] for row in rows]
    return Markdown(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


# As Python prints them, not inside a word or a formula.
NUMBER = re.compile(r"(?<![\w.$])(-?)(\d+(?:\.\d+)?)e([-+]?\d+)(?![\w.$])")


def _power(match):
    sign, mantissa, power = match.groups()
    times = "" if mantissa == "1" else rf"{mantissa} \times "
    return rf"${sign}{times}10^{{{int(power)}}}$"


def scientific(value, digits=3):
    """A number to so many significant digits, set as the paper does: $1.33 \\times 10^{-3}$.

    NaN, an unfinished run, is shown as such, and what is beyond all floats as infinite.
    """
    if value != value:
        return "did not finish"
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if 0 <= power < digits:
        return f"${value:.{digits - 1 - power}f}$"
    return rf"${mantissa} \times 10^{{{power}}}$"


def power_of_ten(value):
    """10^-6 in plain text, for a slider: the nearest power of ten, in superscript digits.

    Raises ValueError for a number that is not positive and finite.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"value = {value}; allowed: positive and finite")
    power = round(math.log10(value))
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def digits_of(printed):
    """How many significant digits a printed number has, final zeros apart: 3 for 0.0498."""
    return len(f"{printed:.15g}".replace(".", "").lstrip("0"))


def same_digits(printed, value):
    """Whether `value`, rounded to as many significant digits as `printed` has, is `printed`."""
    digits = digits_of(printed)
    return f"{value:.{digits - 1}e}" == f"{printed:.{digits - 1}e}"
