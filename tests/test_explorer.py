"""The figure to play with: its text says the numbers it was given, and it draws nothing else."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.explorer import DIGITS, decode, encode, explorer
from support.tables import power_of_ten


@given(st.lists(st.floats(-1.1, 1.1), max_size=20))
def test_text_says_the_numbers_to_half_a_step(values):
    text = encode(values)
    assert len(text) == 3 * len(values) and set(text) <= set(DIGITS)
    assert np.all(abs(decode(text) - values) <= 1.1 / (64**3 - 1) + 1e-12)


@pytest.mark.parametrize("value", [1.2, -1.2, np.nan, np.inf])
def test_numbers_that_three_digits_cannot_say_are_refused(value):
    with pytest.raises(ValueError, match=r"values: allowed: numbers from -1\.1 to 1\.1"):
        encode([0.5, value])


def test_the_figure_carries_its_frames_and_asks_for_nothing():
    limits = np.linspace(-1, 1, 3 * 2 * 4).reshape(3, 2, 4)
    choices = {"dose": ["0", "10⁻¹", "1"], "scale": ["a", "b"]}
    html = explorer(limits, 7, 40, choices, [1, 0]).data
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])
    assert np.allclose(decode(data["frames"]), limits.ravel(), atol=1e-5)
    assert html.count('type="range"') == 2 and 'max="2"' in html and "<output>10⁻¹</output>" in html
    assert not re.search(r"https?:|src=|url\(|fetch|import", html)


def test_powers_of_ten_in_words():
    assert [power_of_ten(x) for x in (1e-13, 1.0, 1e5)] == ["10⁻¹³", "10⁰", "10⁵"]
