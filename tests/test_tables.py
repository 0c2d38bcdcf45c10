"""Numbers and names as the pages show them."""

import pytest

from support import paper
from support.tables import digits_of, label, power_of_ten, same_digits, scientific, table


@pytest.mark.parametrize(("name", "long", "short"), [
    ("table1.ssm_theorem1", "Table 1, SSM per Theorem 1", "Table 1, theorem"),
    ("table2.ssm_beyond", "Table 2, SSM beyond Theorem 1", "Table 2, SSM"),
    ("table2.ssm_mlp", "Table 2, SSM in a network", "Table 2, network"),
    ("figure2.ssm", "Figure 2, SSM", "Figure 2, SSM"),
    ("figure3.ssm_mlp", "Figure 3, SSM in a network", "Figure 3, network"),
    ("figure4.rank2", "Figure 4, short", "Figure 4, short"),
    ("figure4.rank2_longer", "Figure 4, long", "Figure 4, long"),
])  # fmt: skip
def test_settings_have_names_in_words(name, long, short):
    assert (label(name), label(name, short=True)) == (long, short)


def test_every_setting_has_one():
    assert len({label(name) for name in paper.experiments()}) == len(paper.experiments())


@pytest.mark.parametrize(("value", "digits", "text"), [
    (0.0013349, 3, r"$1.33 \times 10^{-3}$"),
    (0.99951, 3, "$1.00$"),
    (1.0, 3, "$1.00$"),
    (12.34, 3, "$12.3$"),
    (999.4, 3, "$999$"),
    (1234.0, 3, r"$1.23 \times 10^{3}$"),
    (-0.5, 2, r"$-5.0 \times 10^{-1}$"),
    (7.0, 1, "$7$"),
    (0.0, 2, "$0.0$"),
    (float("inf"), 3, r"$\infty$"),
    (float("-inf"), 3, r"$-\infty$"),
    (float("nan"), 3, "did not finish"),
])  # fmt: skip
def test_numbers_are_set_as_in_the_paper(value, digits, text):
    assert scientific(value, digits) == text


def test_three_digits_are_the_default():
    assert scientific(0.0123456) == scientific(0.0123456, 3)


@pytest.mark.parametrize(("value", "text"), [
    (1.0, "10⁰"), (1e-6, "10⁻⁶"), (1.0e12, "10¹²"), (3e-8, "10⁻⁸"), (4e-8, "10⁻⁷"),
    (1e345678, None), (0.0, None), (-1.0, None), (float("nan"), None),
])  # fmt: skip
def test_powers_of_ten(value, text):
    if text is None:
        with pytest.raises(ValueError, match=r"value = .*; allowed: positive and finite"):
            power_of_ten(value)
    else:
        assert power_of_ten(value) == text


@pytest.mark.parametrize(("printed", "digits"), [
    (0.0498, 3), (1.2, 2), (0.00133, 3), (16.62, 4), (1.0, 1), (0.1, 1), (10.5, 3), (120.0, 3),
])  # fmt: skip
def test_digits_of_printed_numbers(printed, digits):
    assert digits_of(printed) == digits
    assert same_digits(printed, printed)
    assert same_digits(printed, printed * (1 + 0.4 * 10.0**-digits))
    assert not same_digits(printed, printed * (1 + 10.0 ** (1 - digits)))


def test_a_table_shows_its_cells_as_given():
    shown = table(["a", "b"], [["1.50", "007"], ["2", "1.5"], [7, "1"]]).data
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines()]
    assert rows[0] == ["a", "b"] and rows[2:] == [["1.50", "007"], ["2", "1.5"], ["7", "1"]]
    assert set("".join(rows[1])) <= set(":-")


@pytest.mark.parametrize(("cell", "text"), [
    ("4.6e-05 (−9, +13%)", r"$4.6 \times 10^{-5}$ (−9, +13%)"),
    ("0.11 (3e-08 to 1e+3)", r"0.11 ($3 \times 10^{-8}$ to $10^{3}$)"),
    ("-5.36e-6", r"$-5.36 \times 10^{-6}$"),
    ("$1e-3$", "$1e-3$"), ("the1e5", "the1e5"), ("1e5th", "1e5th"), ("2.5", "2.5"),
])  # fmt: skip
def test_powers_in_a_table_are_set_as_such(cell, text):
    assert table(["a"], [[cell]]).data.splitlines()[-1].strip("| ") == text
