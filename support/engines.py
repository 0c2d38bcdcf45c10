"""Where a sweep computes: in this process, on all cores, or on the workers of a Dask cluster.

Dask distributes; ours is to refuse workers that are not alike, and to say in one line what failed.
"""

import os
from contextlib import contextmanager

from support.backend import BACKEND

__all__ = ["engine"]


@contextmanager
def _client(where):
    """A Dask client: of a cluster on all cores of this machine, or of one that stands elsewhere."""
    from distributed import Client, LocalCluster

    if where == "cores":
        env = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "KERAS_BACKEND": BACKEND}
        options = dict(n_workers=os.cpu_count(), threads_per_worker=1, silence_logs=50, env=env)
        with (
            LocalCluster(dashboard_address="127.0.0.1:0", **options) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(where, timeout=5)
    except Exception:  # whatever an address that is none makes Dask and its event loop raise
        raise ValueError(
            f"where = {where!r}; allowed: 'here', 'cores' or the address of a Dask scheduler "
            "that answers, such as 'tcp://127.0.0.1:8786'"
        ) from None
    with client:
        yield client


@contextmanager
def engine(where, compute, provenance):
    """(who computes, a function from {i: arguments} to pairs of i and result as they get ready).

    `where` is "here", "cores" or the address of a Dask scheduler; `compute` makes a result, and
    `provenance()` says what determines it where it runs, the code of this package included.
    Raises ValueError where nobody answers or workers differ, RuntimeError where workers die of a
    result or the scheduler goes away.
    """
    if where == "here":
        yield provenance(), lambda jobs: ((i, compute(*job)) for i, job in jobs.items())
        return
    from distributed import KilledWorker, as_completed

    def computed(jobs):
        futures = {client.submit(compute, *job, pure=False): i for i, job in jobs.items()}
        try:
            for future, result in as_completed(list(futures), with_results=True):
                if not isinstance(result, tuple):  # a cancellation
                    raise RuntimeError(f"where = {where!r} went away; what arrived before is kept")
                yield futures[future], result
                future.release()
        except KilledWorker as error:
            raise RuntimeError(
                f"a chunk was given up: {error.allowed_failures + 1} workers died computing it "
                "(out of memory? a smaller chunk may help); what arrived before is kept"
            ) from None

    with _client(where) as client:
        found = list(client.run(provenance).values())
        if not found:
            raise ValueError(f"where = {where!r}; allowed: a scheduler with workers (dask worker)")
        if any(other != found[0] for other in found):
            raise ValueError(f"where = {where!r}: its workers differ in device or versions")
        if found[0]["code"] != provenance()["code"]:
            raise ValueError(f"where = {where!r}: its workers have another version of this package")
        yield found[0], computed
