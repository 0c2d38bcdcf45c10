"""The figure to play with: its text says the numbers it was given, and it draws nothing else."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.explorer import DIGITS, HIGH, LOW, SCRIPT, decode, encode, explorer
from support.figures import CLEAN, POISONED
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
    assert "10⁻¹" in re.search(r'<script type="application/json">(.*?)</script>', html)[1]
    assert html.count('type="range"') == 2 and 'max="2"' in html and "<output>10⁻¹</output>" in html
    assert not re.search(r"https?:|src=|url\(|fetch|import", html)


def test_both_ends_can_be_said():
    assert encode([LOW, HIGH]) == 3 * DIGITS[0] + 3 * DIGITS[-1]


def pictures(kappa, length, doses):
    """The two pictures of an explorer with these doses, as XML."""
    limits = np.zeros((len(doses), 2, 4))
    html = explorer(limits, kappa, length, {"dose": doses, "scale": ["a", "b"]}, [0, 0]).data
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def words_in(picture):
    """(words, x, y, anchor) of each, in order."""
    return [
        (t.text, float(t.get("x")), float(t.get("y")), t.get("text-anchor"))
        for t in picture.iter("text")
    ]


def test_the_axes_are_where_the_script_draws():
    """The frame of both runs from (36, 10) to (312, 190), and the script has the same scales."""
    kappa, length, doses = 9, 40, [f"dose {i}" for i in range(10)]
    left, right = pictures(kappa, length, doses)
    for picture, part, what in (
        (left, "responses", "Impulse responses of teacher and students."),
        (right, "errors",
         "The largest error against the dose, inside and beyond the training length."),
    ):  # fmt: skip
        assert picture.attrib == {
            "viewBox": "0 0 320 220", "role": "img", "data-part": part, "aria-label": what,
            "font-size": "11", "fill": "currentColor",
        }  # fmt: skip
        axes = {"d": "M36 10V190H312", "fill": "none", "stroke": "currentColor"}
        assert picture.find("path").attrib == axes
        assert not any(child.tail for child in picture)  # no words but those of the labels
        assert picture.text is None

    def lag(k):
        return round(float(np.interp(k, [0, length - 1], [36, 312])), 1)

    def height(value, low, high):
        return round(float(np.interp(value, [low, high], [190, 10])), 1)

    below, beside = 203, [31, 4]
    assert words_in(left) == [
        *((f"{k}", lag(k), below, "middle") for k in (1, kappa - 1, 20, length - 1)),
        *((f"{v}", beside[0], height(v, 0, 2.4) + beside[1], "end") for v in (0, 1, 2)),
        ("lag", 174, 217, "middle"), ("impulse response", 42, 20, "start"),
    ]  # fmt: skip
    at = np.interp([0, 4, 8], [0, len(doses) - 1], [44, 304]).round(1)
    assert words_in(right) == [
        *((doses[i], x, below, "middle") for i, x in zip((0, 4, 8), at, strict=True)),
        *((f"{10.0**p:g}", beside[0], height(p, -3, 0.5) + beside[1], "end")
          for p in (-3, -2, -1, 0)),
        ("dose", 174, 217, "middle"), ("largest error", 42, 20, "start"),
    ]  # fmt: skip
    (shade,) = left.iter("rect")
    size = (float(shade.get(name)) for name in ("x", "y", "width", "height", "opacity"))
    assert list(size) == [36, 10, pytest.approx(lag(kappa - 0.5) - 36), 180, 0.1]
    script = " ".join(SCRIPT.read_text().split())
    for formula in ("36 + (276 * k) / (length - 1)", "44 + (260 * i) / (doses.length - 1)",
                    "2.4)) / 2.4", "1e-3)) + 3)) / 3.5"):  # fmt: skip
        assert formula in script


def test_the_curves_are_told_apart_by_colour_and_dashes():
    left, right = pictures(9, 40, ["0", "1"])

    def curves(picture):
        return [
            (p.get("data-part"), p.get("stroke"), p.get("stroke-dasharray"), p.get("fill"),
             p.get("stroke-width"))
            for p in picture.iter("path") if p.get("data-part")
        ]  # fmt: skip

    assert curves(left) == [("clean", CLEAN, "6 3", "none", "2"),
                            ("poisoned", POISONED, "none", "none", "2")]  # fmt: skip
    assert curves(right) == [("inside", POISONED, "none", "none", "2"),
                             ("beyond", POISONED, "4 3", "none", "2")]  # fmt: skip
    teacher = left.findall("path")[1]
    assert (teacher.get("stroke"), teacher.get("stroke-width"), teacher.get("opacity")) == (
        "currentColor", "5", "0.3",
    )  # fmt: skip
    x, y = map(float, re.fullmatch(r"M([\d.]+) ([\d.]+)H312", teacher.get("d")).groups())
    assert (x, y) == (round(36 + 276 / 39, 1), 115.0)  # from lag 1 on, at one
    points = [c.attrib for c in right.iter("circle")]
    assert points == [{"data-part": part, "r": "4.5", "fill": POISONED}
                      for part in ("at-inside", "at-beyond")]  # fmt: skip


def test_the_figure_says_what_it_shows():
    limits, doses = np.zeros((3, 2, 5)), ["0", "10⁻¹", "1"]
    html = explorer(limits, 7, 30, {"dose": doses, "scale α": ["a", "b"]}, [1, 0]).data
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])
    assert {k: v for k, v in data.items() if k != "frames"} == {
        "digits": DIGITS, "low": LOW, "high": HIGH, "d": 5, "kappa": 7, "length": 30,
        "doses": doses,
    }  # fmt: skip
    words = re.sub(r"<script.*", "", html, flags=re.DOTALL)
    key = re.search(r'<p class="key">.*?</p>', words)[0]
    assert re.sub("<.*?>", "", key) == (
        "━ poisoned, ╌ clean, grey band: teacher; errors: ━ lags 2 to 6, ╌ lags 7 to 29"
    )
    assert [re.search('color: (.*?)"', s)[1] for s in key.split("<span")[1:3]] == [POISONED, CLEAN]
    sliders = re.findall(r"<label>(.*?)</label>", words)
    assert sliders == [
        '<span>dose</span> <output>10⁻¹</output><input type="range" min="0" max="2" '
        'step="1" value="1" data-words=\'["0", "10⁻¹", "1"]\'>',
        '<span>scale α</span> <output>a</output><input type="range" min="0" max="1" '
        'step="1" value="0" data-words=\'["a", "b"]\'>',
    ]
    assert re.sub(r"<label>.*?</label>", "", words).startswith(
        '<div id="explorer" class="explorer"><div class="sliders"></div>'
    )
    assert words.startswith('<div id="explorer" class="explorer"><div class="sliders"><label>')
    assert '</div><div class="panels"><svg' in words
    assert words.endswith('</p><p data-part="sentence" aria-live="polite"></p>')
    assert html.endswith(f"<script>{SCRIPT.read_text()}</script></div>")


def test_powers_of_ten_in_words():
    assert [power_of_ten(x) for x in (1e-13, 1.0, 1e5)] == ["10⁻¹³", "10⁰", "10⁵"]
