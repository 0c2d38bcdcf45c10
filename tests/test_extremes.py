"""Public functions at the edge of what they take: a right result, or one line that says what is.

Hypothesis draws; the second route is exact arithmetic, or Arb's, where there is one.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import assume, given
from hypothesis import strategies as st

from support import (
    datasets,
    dose,
    explorer,
    flow,
    intervals,
    joint,
    landscape,
    observe,
    passage,
    ssm,
    tables,
    verdict,
)
from support.ssm import SSM, generalization_error

# |a| far from one, on it, and as near as floats are, on either side.
transition = st.one_of(
    st.floats(-1.1, 1.1),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-300, np.nextafter(1, 0), -np.nextafter(1, 2), 1.01]),
)
end = st.floats(-10, 10)
wild = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 5e-324])


def entries(element, least=1, most=4):
    return st.lists(element, min_size=least, max_size=most).map(np.array)


@st.composite
def systems(draw):
    d = draw(st.integers(1, 4))
    return SSM(*(draw(entries(kind, d, d)) for kind in (transition, end, end)))


@given(systems(), st.sampled_from([0, 1, 2, 39, 999, 5000]))
def test_the_impulse_response_is_exact_at_any_lag(system, lag):
    h = system.impulse_response(lag + 1)
    assert h.shape == (lag + 1,)
    parts = [map(arb, x.tolist()) for x in (system.transition, system.input, system.output)]
    with ctx.workprec(200):
        terms = [c * a**lag * b for a, b, c in zip(*parts, strict=True)]
        # `lag` products and a few more, each rounded once; terms may cancel, and powers vanish
        bound = sum(map(abs, terms)) * (lag + 8) * 2.0**-52 + 1e-290
        assert abs(sum(terms) - arb(float(h[-1]))) <= bound


@given(systems(), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_recurrence_convolution_and_call_are_one_map(system, length, seed):
    x = np.random.default_rng(seed).normal(size=length)
    y, z = system.recurrence(x), system.convolution(x)
    size = np.convolve(abs(x), SSM(*map(abs, (system.transition, system.input, system.output)))
                       .impulse_response(length))[:length]  # fmt: skip
    assert np.all(abs(y - z) <= 1e-13 * size + 1e-290)
    assert abs(system(x) - y[-1]) <= 1e-13 * size[-1] + 1e-290


@given(systems(), systems(), st.integers(1, 3000), st.integers(0, 3000), st.booleans())
def test_a_generalization_error_is_the_largest_difference(student, teacher, length, first, over):
    if first >= length:
        with pytest.raises(ValueError, match="allowed: more than first"):
            generalization_error(student, teacher, length, over, first)
        return
    h, reference = (s.impulse_response(length)[first:] for s in (student, teacher))
    assume(not over or abs(reference).max() > 0)
    error = generalization_error(student, teacher, length, over, first)
    scale = abs(reference).max() if over else 1.0
    assert error == max(abs(h - reference)) / scale and error >= 0


@given(entries(transition), st.sampled_from([1, 2, 3, 7, 2000]), st.integers(1, 3))
def test_the_velocity_of_a_flow_is_that_of_its_moments(a, kappa, n):
    """For any length of the sequences; the loss's gradient by exact rationals, where short."""
    x = np.random.default_rng(kappa).normal(size=(n, kappa))
    teacher = SSM.with_ones([1.0])
    field = flow.GradientFlow(datasets.labelled(x, teacher))
    with np.errstate(all="ignore"):
        velocity, loss = field.velocity(a), field.loss(a)
    if kappa > 7:  # powers of what is above one may leave the floats: then nothing is claimed
        assert velocity.shape == a.shape and (abs(a).max() > 1 or np.isfinite(loss))
        return
    exact = [Fraction(v) for v in a.tolist()]
    wanted = [Fraction(0)] * len(a)
    for row in x.tolist():
        row = [Fraction(v) for v in row[::-1]]
        delta = sum(xi * (1 - sum(v**k for v in exact)) for k, xi in enumerate(row))
        for j, v in enumerate(exact):
            slope = sum(k * xi * v ** (k - 1) for k, xi in enumerate(row) if k)
            wanted[j] += Fraction(2, n) * delta * slope
    size = max(map(abs, wanted), default=0) + 1
    assert all(
        abs(Fraction(float(v)) - w) <= size * 2**-30 for v, w in zip(velocity, wanted, strict=True)
    )


@pytest.mark.slow
@given(entries(wild, 1, 3))
def test_a_flow_from_anywhere_arrives_stops_or_says_why(start):
    data, _ = datasets.theorem_sets(ssm.theorem_teacher(3), 7, [1.0], [1.0])
    said = []
    for field in (flow.GradientFlow(data).integrate, joint.JointFlow(data, 1.0).limit):
        try:
            with np.errstate(all="ignore"):
                field(start, 1e3, max_steps=200)
        except (ValueError, RuntimeError) as error:
            said.append(str(error))
    known = ("allowed: [d], every entry finite", "allowed: a finite loss", "LSODA stopped at t")
    assert all(any(words in line for words in known) for line in said)
    assert len(said) == 2 or np.all(np.isfinite(start))


@given(entries(wild, 1, 3), st.integers(-1, 40))
def test_the_closed_form_arrives_or_says_why(start, kappa):
    try:
        limit = flow.closed_form_limit(start, kappa)
    except ValueError as error:
        assert "allowed" in str(error) and "\n" not in str(error)
        return
    assert abs((limit ** (kappa - 1)).sum() - 1) < 1e-12
    assert np.all(np.sign(limit) == np.sign(start))


@pytest.mark.slow
@given(st.lists(st.floats(1e-3, 0.9, allow_nan=False) | wild, min_size=1, max_size=3),
       st.integers(1, 3), st.sampled_from([0, 2, 3, 7, 8]))  # fmt: skip
def test_passages_arrive_or_say_why(column, members, kappa):
    start = np.tile(np.sort(column)[::-1][:, None], members)
    try:
        with np.errstate(all="ignore"):
            ran = passage.passages(start, kappa, most=50)
    except ValueError as error:
        assert "allowed" in str(error) and "\n" not in str(error)
        return
    assert ran.transition.shape == start.shape
    same = ran.transition == ran.transition[:, :1]
    assert np.all(same | np.isnan(ran.transition))  # members do not feel each other


@given(st.integers(1, 4), st.integers(1, 6), st.lists(st.integers(-2, 9), max_size=3))
def test_sequences_have_their_entries_where_they_were_asked_for(count, kappa, places):
    generator = np.random.default_rng(0)
    if all(1 <= place <= kappa for place in places):
        x = datasets.gaussian_sequences(generator, count, places, kappa)
        assert x.shape == (count, kappa)
        assert set(np.flatnonzero(x.any(axis=0)) + 1) == set(places)
    else:
        with pytest.raises(ValueError, match=rf"place = .*; allowed: 1, ..., kappa = {kappa}"):
            datasets.gaussian_sequences(generator, count, places, kappa)


@given(entries(st.floats(-1e3, 1e3)), entries(st.floats(-1e3, 1e3)), st.integers(-1, 8),
       st.integers(-1, 8), wild)  # fmt: skip
def test_the_sets_of_the_theorem_are_clean_or_refused(baseline, special, kappa, lag, rho):
    teacher = ssm.theorem_teacher(4)
    try:
        sets = datasets.theorem_sets(teacher, kappa, baseline, special, rho, lag)
    except ValueError as error:
        assert "allowed" in str(error)
        return
    for data in sets:
        assert datasets.is_clean(data, teacher)
        wrong = datasets.TrainingSet(
            data.inputs, data.labels + 1e-3 * abs(data.labels).max() + 1e-3
        )
        assert not datasets.is_clean(wrong, teacher)


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_a_saddle_is_at_rest_or_refused(d, kappa):
    if d >= 8 and kappa >= 7 and kappa % 2:
        s = landscape.saddle(d, kappa)
        assert abs(landscape.line_velocity(s, d, kappa)) < 1e-14 * d * kappa
    else:
        with pytest.raises(ValueError, match="allowed"):
            landscape.saddle(d, kappa)


@given(entries(st.floats(0, 1) | wild), st.sampled_from([5, 7, 9]), st.floats(0, 1) | wild,
       st.integers(-1, 9))  # fmt: skip
def test_small_doses_are_told_or_refused(start, kappa, rho, lag):
    try:
        with np.errstate(all="ignore"):
            a = dose.left_behind(start, kappa, rho, lag)
    except (ValueError, RuntimeError) as error:
        assert "allowed" in str(error) or "no root" in str(error)
        return
    assert np.all(a >= start * (1 - 1e-9)) and abs((a ** (kappa - 1)).sum() - 1) < 1e-9


@given(entries(st.floats(-1e150, 1e150) | st.just(0.0), 1, 6))
def test_the_effective_rank_is_between_one_and_d(a):
    with np.errstate(invalid="ignore"):
        rank = observe.effective_rank(a[:, None])[0]
    nonzero = np.count_nonzero(a)
    assert (1 - 1e-12 <= rank <= nonzero + 1e-9) if nonzero else np.isnan(rank)


@given(entries(st.floats(-1.2, 1.2) | wild, 1, 9))
def test_what_the_explorer_encodes_it_decodes(values):
    if np.all((values >= explorer.LOW) & (values <= explorer.HIGH)):
        back = explorer.decode(explorer.encode(values))
        assert np.all(abs(back - values) <= 4.3e-6)
    else:
        with pytest.raises(ValueError, match="allowed"):
            explorer.encode(values)


@given(wild | st.floats(1e-300, 1e300), st.integers(1, 6))
def test_a_number_reads_back_as_what_it_was(value, digits):
    text = tables.scientific(value, digits)
    if not math.isfinite(value):
        assert text in ("did not finish", r"$\infty$", r"$-\infty$")
        return
    number = float(text.strip("$").replace(r" \times 10^{", "e").rstrip("}"))
    assert number == float(f"{value:.{digits - 1}e}")


@given(wild)
def test_the_nearest_power_of_ten(value):
    if 0 < value < math.inf:
        power = int(
            tables.power_of_ten(value)[2:].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        )
        assert abs(math.log10(value) - power) <= 0.5
    else:
        with pytest.raises(ValueError, match="allowed"):
            tables.power_of_ten(value)


@given(wild, wild)
def test_balls_contain_what_they_cover(low, high):
    if not (math.isfinite(low) and math.isfinite(high)):
        with pytest.raises((ValueError, OverflowError)):
            intervals.segment(low, high)
        return
    cover = intervals.segment(low, high)
    assert all(cover.contains(intervals.ball(x)) for x in (low, high))


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10), st.booleans()), max_size=12))
def test_an_effect_has_its_interval_around_it(runs):
    without, special, finished = (
        (np.array(x) for x in zip(*runs, strict=True)) if runs else [np.array([])] * 3
    )
    if finished.sum() < 2:
        with pytest.raises(ValueError, match="at least two pairs"):
            verdict.effect(without, special, finished)
        return
    found = verdict.effect(without, special, finished)
    assert found.pairs + found.unfinished == len(runs)
    assert found.share_interval[0] <= found.share <= found.share_interval[1]
    assert found.ratio_interval[0] <= found.ratio <= found.ratio_interval[1]
