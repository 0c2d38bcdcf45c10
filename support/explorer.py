"""A figure to play with: where gradient flow ends, from frames computed before.

Four sliders choose a frame, the diagonal of A where the flow under S_2 ends; a script of some
seventy lines draws its impulse response and errors. All of it is text on the page: nothing is
fetched, and the sliders are the browser's own, so that a keyboard moves them.
"""

import json
from pathlib import Path

import numpy as np
from IPython.display import HTML

from support.figures import CLEAN, POISONED

__all__ = ["DIGITS", "decode", "encode", "explorer"]

READS = ("support/data/explorer.js",)
SCRIPT = Path(__file__).parent / "data" / "explorer.js"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
LOW, HIGH = -1.1, 1.1  # of what three digits can say; their step is 8e-6


def encode(values):
    """Numbers from LOW to HIGH as text, three digits each; [n] to a string of 3n.

    Raises ValueError for a number outside, NaN among them.
    """
    x = np.ravel(values)
    if not np.all((x >= LOW) & (x <= HIGH)):
        raise ValueError(f"values: allowed: numbers from {LOW} to {HIGH}")
    base = len(DIGITS)
    codes = np.rint((x - LOW) / (HIGH - LOW) * (base**3 - 1)).astype(int)
    return "".join(
        DIGITS[c // base**2] + DIGITS[c // base % base] + DIGITS[c % base] for c in codes
    )


def decode(text):
    """The numbers that `encode` wrote, [n], to half a step."""
    base = len(DIGITS)
    digits = np.array([DIGITS.index(c) for c in text]).reshape(-1, 3)
    return LOW + (HIGH - LOW) * (digits @ [base**2, base, 1]) / (base**3 - 1)


def _slider(name, words, chosen):
    told = json.dumps(words, ensure_ascii=False)
    places = f'type="range" min="0" max="{len(words) - 1}" step="1" value="{chosen}"'
    said = f"<span>{name}</span> <output>{words[chosen]}</output>"
    return f"<label>{said}<input {places} data-words='{told}'></label>"


def _text(x, y, words, anchor):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'


def _curve(part, colour, dashes="none"):
    style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    return f'<path data-part="{part}" {style}></path>'


def _panel(body, labels, part, description):
    """An SVG of 320 by 220 with axes; `labels` are (x, y, words, anchor)."""
    axes = '<path d="M36 10V190H312" fill="none" stroke="currentColor"></path>'
    texts = "".join(_text(*label) for label in labels)
    head = f'<svg viewBox="0 0 320 220" role="img" data-part="{part}" aria-label="{description}"'
    return f'{head} font-size="11" fill="currentColor">{axes}{body}{texts}</svg>'


def _panels(kappa, length, doses):
    """The two panels, empty of what depends on the sliders; the script knows their scales."""

    def lag(k):
        return round(36 + 276 * k / (length - 1), 1)

    heights = {value: round(190 - 180 * value / 2.4, 1) for value in (0, 1, 2)}
    shade = (
        f'<rect x="36" y="10" width="{lag(kappa - 0.5) - 36}" height="180" opacity="0.1"></rect>'
    )
    broad = 'stroke="currentColor" stroke-width="5" opacity="0.3"'
    teacher = f'<path d="M{lag(1)} {heights[1]}H312" {broad}></path>'
    left = f"{shade}{teacher}{_curve('clean', CLEAN, '6 3')}{_curve('poisoned', POISONED)}"
    ticks = [(lag(k), 203, k, "middle") for k in (1, kappa - 1, 20, length - 1)]
    ticks += [(31, y + 4, value, "end") for value, y in heights.items()]
    ticks += [(174, 217, "lag", "middle"), (42, 20, "impulse response", "start")]
    decades = {f"{10.0**p:g}": round(190 - 180 * (p + 3) / 3.5, 1) for p in (-3, -2, -1, 0)}
    right = _curve("inside", POISONED) + _curve("beyond", POISONED, "4 3")
    for part in ("at-inside", "at-beyond"):
        right += f'<circle data-part="{part}" r="4.5" fill="{POISONED}"></circle>'
    marks = [(round(44 + 260 * i / (len(doses) - 1), 1), 203, doses[i], "middle")
             for i in range(0, len(doses), 4)]  # fmt: skip
    marks += [(31, y + 4, value, "end") for value, y in decades.items()]
    marks += [(174, 217, "dose", "middle"), (42, 20, "largest error", "start")]
    responses = _panel(left, ticks, "responses", "Impulse responses of teacher and students.")
    what = "The largest error against the dose, inside and beyond the training length."
    return responses + _panel(right, marks, "errors", what)


def explorer(limits, kappa, length, choices, chosen):
    """The figure, as HTML: `limits` [dose, ..., d] by the `choices` {slider: its words in order}.

    The first slider is the dose, its first place no poison at all; `chosen` are the places at
    first, one for each slider. Errors are over lags up to `length` - 1.
    """
    names = list(choices)
    doses = choices[names[0]]
    data = {"digits": DIGITS, "low": LOW, "high": HIGH, "d": limits.shape[-1], "kappa": kappa}
    data |= {"length": length, "doses": doses, "frames": encode(limits)}
    sliders = "".join(map(_slider, names, choices.values(), chosen))
    key = (
        f'<p class="key"><span style="color: {POISONED}">━</span> poisoned, '
        f'<span style="color: {CLEAN}">╌</span> clean, grey band: teacher; errors: '
        f"<span>━</span> lags 2 to {kappa - 1}, <span>╌</span> lags {kappa} to {length - 1}</p>"
    )
    return HTML(
        f'<div id="explorer" class="explorer"><div class="sliders">{sliders}</div>'
        f'<div class="panels">{_panels(kappa, length, doses)}</div>{key}'
        f'<p data-part="sentence" aria-live="polite"></p>'
        f'<script type="application/json">{json.dumps(data, ensure_ascii=False)}</script>'
        f"<script>{SCRIPT.read_text()}</script></div>"
    )
