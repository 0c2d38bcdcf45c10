"""Training an ensemble of students, thousands of steps a call.

The loop runs the Keras model of `support.layers` as it stands, with the same steps that `fit`
takes: the whole run is compiled, members are cut into chunks that stay in cache, and each member
stops by itself. Its loss falls below a tolerance, a stated number of further iterations follow, and
it is frozen; what has not finished by a stated maximum is reported as such.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from support import optimizers
from support.backend import THREADS, compile_function, free_memory, keras, value_and_gradient

__all__ = ["Run", "moment_loss", "progress_bar", "require_memory", "require_number"]
__all__ += ["sequence_loss", "train"]

ops = keras.ops


@dataclass(frozen=True)
class Run:
    """How an ensemble's training went, member by member (arrays of shape [members]).

    `stop` is the iteration at which the loss was first below the tolerance, -1 where never;
    `iterations` the number of updates made; `loss` the last loss seen; `diverged` whether it
    stopped being finite; `finished` whether the tolerance and all further iterations were reached.
    `log` is a list of (iteration, what `observe` returned), one for each time it was asked.
    `seconds` is the time the loop took, compilation apart.
    """

    stop: np.ndarray
    iterations: np.ndarray
    loss: np.ndarray
    diverged: np.ndarray
    finished: np.ndarray
    log: list
    seconds: float


def sequence_loss(sequences, labels):
    """The loss (3) from sequences [n, kappa, members or 1] and labels [n, members or 1]."""
    return _of_sequences, [np.asarray(sequences), np.asarray(labels)]


def _of_sequences(model, sequences, labels):
    error = labels - model(sequences)
    return ops.sum(error * error, axis=0) / error.shape[0]  # [members]


def moment_loss(moments, target):
    """The same loss for a standalone SSM from second moments: its cost does not depend on n.

    `moments` [kappa, kappa, members or 1] are those of the sequences by lag: `second_moments` of
    `support.datasets`, or `expected_moments` for infinitely many. `target` [kappa] is the teacher's
    impulse response. The labels are the teacher's, so the loss is (h - h*)^T M (h - h*).
    """
    return _of_moments, [np.asarray(moments), np.asarray(target)[:, None]]


def _of_moments(model, moments, target):
    error = model.ssm.impulse_response(target.shape[0]) - target  # [kappa, members]
    half = ops.stop_gradient(ops.sum(moments * error, axis=1))  # M is symmetric: half of ...
    return ops.sum(half * (2 * error - ops.stop_gradient(error)), axis=0)  # ... the gradient


def require_number(name, value, least, most=np.inf):
    """Raise ValueError for what is no finite number from `least` to `most`.

    The type of `least` says whether it must be an integer.
    """
    whole = type(least) is int
    kinds = (int, np.integer) if whole else (int, float, np.number)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    if not (fits and least <= value <= most and value < np.inf):
        kind = "an integer" if whole else "a number"
        bounds = f", {least:g} or more" if most == np.inf else f" from {least:g} to {most}"
        raise ValueError(f"{name} = {value!r}; allowed: {kind}{bounds}")


def require_memory(members, bytes_each):
    """Raise ValueError if that many members, at so many bytes each, exceed the free memory."""
    free = free_memory()
    if members * bytes_each > free:
        raise ValueError(
            f"members = {members}; allowed: up to {int(free // bytes_each)} "
            f"in the {free / 1e9:.1f} GB of memory that are free"
        )


def _bytes_each(student, data):
    """What a member takes, at least: its weights, Adam's two averages, both twice; its data."""
    weights = sum(np.prod(v.shape[:-1]) for v in student.trainable_variables)
    own = sum(np.prod(x.shape[:-1]) for x in data if x.shape[-1] > 1)
    return int((6 * weights + own) * np.dtype(student.trainable_variables[0].dtype).itemsize)


LONGEST = 10**9  # run, in iterations: two of them are counted in 32 bits
BLOCKS = {}  # compiled functions, by all that they depend on: backends never give one back


def _block(student, size, *settings):
    """`_compiled_block` for chunks of this size, compiled once for all students of one kind."""

    def make():
        return _compiled_block(student.take(np.arange(size)), *settings)

    if student.kind is None:
        return make()
    key = student.kind, size, *settings
    if key not in BLOCKS:
        BLOCKS[key] = make()
    return BLOCKS[key]


def _compiled_block(template, loss, rule, rate, stop_loss, extra, project):
    """n steps of a chunk as one compiled function of arrays; `template` is a chunk of its size."""
    variables = template.trainable_variables
    names, n = [variable.name for variable in variables], len(variables)

    def total(values, data):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            losses = loss(template, *data)
        return ops.sum(losses), losses

    gradient = value_and_gradient(total)

    def block(data, limit, carry):
        def one_step(i, carry):
            values, state, count, stop, _ = carry
            (_, losses), gradients = gradient(values, data)
            finite = ops.isfinite(losses)
            stop = ops.where((stop < 0) & (losses < stop_loss), i, stop)
            active = finite & ((stop < 0) | (i < stop + extra))
            rates = rate * ops.cast(active, losses.dtype)  # what is frozen moves by exactly nothing
            values, state = optimizers.step(rule, names, rates, i + 1, values, gradients, state)
            if project is not None:
                projected = project(names, values)
                values = [ops.where(active, p, v) for p, v in zip(projected, values, strict=True)]
            return values, state, ops.where(active, i + 1, count), stop, losses

        first, end = limit[0], limit[1]
        values, state, (count, stop, last) = carry[:n], carry[n:-3], carry[-3:]
        start = values, state, count, stop, last
        values, state, *rest = ops.fori_loop(first, end, one_step, start)
        return [*values, *state, *rest]

    return compile_function(block)


def _first(array, members):
    """The part of a data array that belongs to these members: its last axis, unless shared."""
    return array if array.shape[-1] == 1 else array[..., members]


def progress_bar(total, shown):
    """A progress bar in the terminal behind a notebook's kernel, never in the notebook."""
    stream = getattr(sys.stderr, "_original_stdstream_copy", None)
    stream = os.fdopen(os.dup(stream), "w") if stream is not None else sys.stderr
    return tqdm(total=total, file=stream, disable=None if shown else True, unit_scale=True)


def train(
    student, loss, *, rule, rate, stop_loss, extra, most, every=1000, looks=(), observe=None,
    project=None, chunk=1024, progress=True,
):  # fmt: skip
    """Train every member of `student` in place and say how it went: a Run.

    `loss` comes from `sequence_loss` or `moment_loss`; `rule` is one of `optimizers.RULES`, `rate`
    its base learning rate. A member is frozen `extra` iterations after its loss is first below
    `stop_loss`, and after `most` at the latest. At the start, every `every` iterations and at those
    named in `looks`, `observe(student)` is asked for what the log shall keep.
    `project(names, values)`, if given, makes of the values after each step those that training goes
    on with. `chunk` is the number of members that one compiled call trains; the chunks share the
    cores, and close ranks as members come to their end. Raises ValueError for an unknown rule, for
    the released one without the student's probe, for a number that is out of its range, for data of
    another ensemble and for more members than memory holds.
    """
    if rule not in optimizers.RULES:
        raise ValueError(f"rule = {rule!r}; allowed: {', '.join(map(repr, optimizers.RULES))}")
    if (rule == "released") != (student.ssm.probe is not None):
        raise ValueError(
            f"rule = {rule!r}; allowed: 'released' for a student with a probe, no other"
        )
    for name, value in {"rate": rate, "stop_loss": stop_loss}.items():
        require_number(name, value, 0.0)
    require_number("extra", extra, 0, LONGEST)
    require_number("most", most, 1, LONGEST)
    for name, count in {"every": every, "chunk": chunk}.items():
        require_number(name, count, 1)
    function, data = loss
    for array in data:
        if array.shape[-1] not in (1, student.members):
            allowed = f"1 or {student.members}, as many as there are students"
            raise ValueError(f"data for {array.shape[-1]} members; allowed: {allowed}")
    require_memory(student.members, _bytes_each(student, data))
    variables, members = student.trainable_variables, student.members
    size = -(-members // -(-members // chunk))  # of every part, so that one compilation serves all
    block = _block(student, size, function, rule, rate, stop_loss, extra, project)
    values = [v.numpy() for v in variables]
    state = optimizers.initial_state(rule, values)
    whole = [np.array(array) for array in (*values, *state)]
    whole += [np.zeros(members, "int32"), np.full(members, -1, "int32"), np.zeros_like(whole[0][0])]
    count, stop, last = whole[-3:]  # all of `whole` has the members last

    def load(part):
        pieces = [ops.convert_to_tensor(_first(x, part).astype(last.dtype)) for x in data]
        return part, pieces, [ops.convert_to_tensor(array[..., part]) for array in whole]

    def advance(loaded, limit):
        part, pieces, carry = loaded
        carry = block(pieces, ops.convert_to_tensor(np.array(limit, "int32")), carry)
        for array, new in zip(whole, carry, strict=True):
            array[..., part] = ops.convert_to_numpy(new)
        return part, pieces, carry

    advance(load(np.arange(size)), [0, 0])  # compiles, without a step
    log, done, began, going, loaded = [], 0, time.perf_counter(), None, []
    with ThreadPoolExecutor(THREADS) as pool, progress_bar(most, progress) as bar:
        while True:
            if observe is not None:
                _assign(variables, whole)
                log.append((done, observe(student)))
            before = going
            going = np.flatnonzero(np.isfinite(last) & ((stop < 0) | (done < stop + extra)))
            if done >= most or not len(going):
                break
            if before is None or len(going) < len(before):
                loaded = [load(part) for part in _equal_parts(going, size)]
            then = min([done - done % every + every, most, *(x for x in looks if x > done)])
            loaded = list(pool.map(advance, loaded, [[done, then]] * len(loaded)))
            bar.update(then - done)
            done = then
        bar.total = done  # all that was needed
    _assign(variables, whole)
    diverged = ~np.isfinite(last)
    finished = ~diverged & (stop >= 0) & (count >= stop + extra)
    return Run(stop, count, last, diverged, finished, log, time.perf_counter() - began)


def _equal_parts(members, size):
    """The members cut into parts of one size; copies of its own fill up what is too short."""
    parts = np.array_split(members, -(-len(members) // size))
    return [np.resize(part, size) for part in parts]


def _assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=False):  # the arrays go on: optimizer, ...
        variable.assign(array)
