"""Every chapter run once by papermill with parameters far from its own; the runs are shared."""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import chapters
import papermill

# Parameters far from the defaults.
OTHERS = {
    "intro": [{"alpha": 1e-2, "zeta_gap": 1e-3}],
    "setup": [{"kappa": 9, "d": 14, "epsilon": 250, "seed": 7}],
    "proposition-1": [{"kappa": 4, "d": 3, "experiment": "figure4.rank2", "seed": 5}],
    "greedy-learning": [
        {
            "seed": 7,
            "n_special": 5,
            "special_lags": [1, 2],
            "rule": "text",
            "precision": "float32",
            "backend": "jax",
            "most": 400,
        },
    ],
    "keras-experiments": [
        {
            "seeds": [1, 2],
            "n_special": 5,
            "special_lags": [1, 2],
            "rule": "text",
            "precision": "float64",
            "backend": "jax",
            "most": 400,
        },
    ],
    "is-it-the-seed": [
        {
            "seed": 5,
            "sample": 1,
            "experiment": "figure2.ssm_mlp",
            "first": 7,
            "count": 3,
            "grid": {"n_special": [0, 5], "most": [200]},
            "chunk": 2,
            "where": "cores",
        },
    ],
    "proof-setting": [{"kappa": 9, "d": 12, "seed": 5}],
    "proof-flow-s1": [{"kappa": 9, "d": 12, "seed": 5, "members": 300, "epsilon": 0.001}],
    "proof-reference": [{"kappa": 9, "d": 12, "seed": 5}],
    "proof-critical-points": [{"kappa": 11, "d": 20, "seed": 3}],
    "proof-linearization": [{"kappa": 9, "d": 12, "seed": 5}],
    "proof-towards-saddle": [{"kappa": 9, "d": 12, "seed": 5, "alpha": 1e-5}],
    "proof-escape": [{"kappa": 9, "d": 12, "seed": 5, "alpha": 1e-4}],
    "proof-convergence": [{"kappa": 9, "d": 12, "seed": 5, "alpha": 1e-4, "members": 200}],
    "proof-divergence": [
        {"kappa": 9, "d": 12, "seed": 5, "alpha": 1e-4},
        {"d": 40, "alpha": 1e-2},  # a start that is not small beside s
    ],
    "proof-initializations": [{"kappa": 9, "d": 10, "seed": 5}],
    "proof-auxiliary": [{"kappa": 11, "d": 9, "seed": 3}],
    "proof-free": [{"kappa": 11, "d": 9, "seed": 3}],
    "certificate": [
        {"kappa": 13, "d": 12, "seed": 3, "alpha": 1e-3, "place": 0.3},
    ],
    "how-little-poison": [
        {"kappa": 9, "d": 10, "alpha": 5e-3, "zeta": 1e-4, "seed": 1, "sample": 1}
    ],
    "poisoned-set": [{"seed": 3, "sample": 1}],
    "learned-ends": [{"kappa": 9, "d": 10, "alpha": 1e-2, "seed": 1, "sample": 1}],
    "infinite-data": [{"poles": [10], "d": 6, "seed": 3, "sample": 1}],
    "what-protects": [{"seed": 3, "sample": 1}],
    "errata": [{"kappa": 13, "d": 20, "seed": 4}],
    "statements": [{"show": "checked"}],
    "reproducibility-notes": [{"seed": 7}],
    "theorem-1": [
        {"kappa": 9, "d": 12, "seeds": [1, 2, 3]},
        {"kappa": 13, "rule": "text", "seeds": [47]},
    ],
}


def rerun(name, values, folder):
    """The notebook that papermill makes of a chapter with other values, also left in `folder`."""
    return papermill.execute_notebook(
        chapters.ROOT / "book" / f"{name}.ipynb",
        folder / f"{name}.ipynb",
        parameters=values,
        cwd=folder,  # a chapter finds its data wherever it is called from
        progress_bar=False,
    )


def other(name, i=0):
    """The chapter's i-th rerun; the first call starts all of them, side by side."""
    return _runs()[name, i].result()


@cache
def _runs():
    pool = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=_one_thread_each)
    return {(n, i): pool.submit(_run, n, i) for n in OTHERS for i in range(len(OTHERS[n]))}


def _one_thread_each():
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")


def _run(name, i):
    with TemporaryDirectory() as folder:
        return rerun(name, OTHERS[name][i], Path(folder))
