"""How fast the engine trains, as ratios within one run (`make bench`).

With the argument `store` it measures ensembles of 10^4, 10^5 and 10^6 instead and keeps the rates
as the stored result "speed.DEVICE".

Table 1's second row: d = 10, kappa = 6, 18 sequences, float32, second moments. Compilation is
excluded. Beside the rates stand the machine's own ceilings, measured in the same run, and the share
of them that is reached.
"""

import re
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from support import results
from support.backend import BACKEND, device, keras
from support.layers import DiagonalSSM, Student
from support.training import moment_loss, train

sys.path.insert(0, str(Path(__file__).parents[1]))
from keras_fit import AdaptiveGradientDescent, ensemble_square_error

D, KAPPA, N = 10, 6, 18
# Arithmetic operations of one member-step by the text's rule, from the formulas of
# support.layers: powers, impulse response, M times the error, two polynomials, three gradients,
# their norm, the step. The released rule adds moments and Hankel products.
TEXT = KAPPA * D + 2 * KAPPA * D + 2 * KAPPA**2 + 4 * KAPPA * D + 5 * D + 6 * D + 6 * D
RELEASED = TEXT + 2 * (2 * KAPPA - 3) * 3 * D + 2 * 2 * 75 + 50
# Bytes read and written, were nothing kept in cache: weights, moments, counters, in float32.
BYTES = 4 * (2 * 3 * D + KAPPA**2 + 8)


def problem(members, n=N):
    generator = np.random.default_rng(0)
    a, b, c = abs(generator.normal(0, 0.1, (3, D, members)))
    x = generator.normal(size=(n, KAPPA))
    moments = (x[:, ::-1].T @ x[:, ::-1] / n)[..., None]
    loss = moment_loss(np.repeat(moments, members, -1).astype("float32"), np.ones(KAPPA))
    return (a, b, c), x.astype("float32"), loss


def rate(members, rule, steps, n=N, **options):
    """Member-steps a second of the compiled loop, the best of three runs."""
    ends, _, loss = problem(members, n)
    options |= dict(rule=rule, rate=1e-3, stop_loss=0.0, extra=0, progress=False)
    seconds = []
    for _ in range(3):
        student = Student(DiagonalSSM(*ends, released=rule == "released"))
        run = train(student, loss, most=steps, every=steps, **options)
        seconds.append(run.seconds)
    return steps * members / min(seconds)


def fit_rate(steps=3000):
    """Steps a second of `model.fit`, one student, one step a call, no callbacks."""
    ends, x, _ = problem(1)
    student = Student(DiagonalSSM(*ends))
    optimizer = AdaptiveGradientDescent(1e-3)
    student.compile(optimizer=optimizer, loss=ensemble_square_error, jit_compile=True)
    y = x.sum(axis=1, keepdims=True)
    data = np.tile(x[..., None], (steps, 1, 1)), np.tile(y, (steps, 1))  # an epoch of many steps
    options = dict(batch_size=N, shuffle=False, verbose=0)
    student.fit(data[0][: 20 * N], data[1][: 20 * N], **options)
    began = time.perf_counter()
    student.fit(*data, **options)
    return steps / (time.perf_counter() - began)


def ceilings():
    """(float32 operations a second of a matrix product, bytes a second of a copy)."""
    a = np.ones((2048, 2048), "float32")
    b, c = np.ones(2**27, "float32"), np.empty(2**27, "float32")
    times = {"product": [], "copy": []}
    for _ in range(5):
        for name, action in (("product", lambda: a @ a), ("copy", lambda: np.copyto(c, b))):
            began = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times["product"]), 2 * b.nbytes / min(times["copy"])


def store():
    """Measure by size of the ensemble and store; an accelerator takes it as one chunk."""
    on_cpu = device() == "cpu"
    rates = {
        rule: {
            str(members): rate(
                members, rule, 2 * 10**8 // members, chunk=1024 if on_cpu else members
            )
            for members in (10**4, 10**5, 10**6)
        }
        for rule in ("text", "released")
    }
    key = results.make_key(
        "speed." + re.sub(r"\W+", "-", device().lower()),
        settings={"d": D, "kappa": KAPPA, "loss": "second moments", "backend": BACKEND},
        seeds=[0], rule="text and released", precision="float32", device=device(),
        libraries=["keras", BACKEND],
    )  # fmt: skip
    values = {"date": date.today().isoformat(), "member-steps per second": rates}
    print(results.store(key, values).read_text())


def main():
    flops, copy = ceilings()
    print(f"{keras.backend.backend()} on {device()}")
    print(f"ceilings: {flops / 1e9:.0f} GFLOP/s (matrix product), {copy / 1e9:.0f} GB/s (copy)")
    fit, single = fit_rate(), rate(1, "text", 1_000_000)
    print(f"one student, steps/s: fit {fit:,.0f}, compiled {single:,.0f}, {single / fit:.0f} x")
    for rule, operations in (("text", TEXT), ("released", RELEASED)):
        fast = rate(4096, rule, 10_000)
        print(f"4096 students, {rule}: {fast:.2g} member-steps/s")
        product, memory = 100 * fast * operations / flops, 100 * fast * BYTES / copy
        print(f"    at {operations} operations each: {product:.0f} % of the matrix product")
        print(f"    at {BYTES} bytes each, had they no cache: {memory:.0f} % of the copy")
    few, many = (1 / rate(256, "text", 100_000, n) for n in (18, 1_800_000))
    print(f"time per step, n = 1,800,000 over n = 18: {many / few:.2f}")


if __name__ == "__main__":
    store() if "store" in sys.argv else main()
