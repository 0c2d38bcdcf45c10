"""Keras, and the two things it leaves to its backend: gradients and compilation.

Everything that trains imports Keras from here. `KERAS_BACKEND` chooses TensorFlow (the default) or
JAX, as for Keras itself. TensorFlow greets its first user on the standard error stream, time and
process number included; the import below lets nothing of that into a notebook.
"""

import contextlib
import os
import sys

import psutil

__all__ = ["THREADS", "compile_function", "device", "free_memory", "keras", "value_and_gradient"]


@contextlib.contextmanager
def _silence():
    """Send file descriptor 2 to nowhere: the greeting is written by C++."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if BACKEND not in ("tensorflow", "jax"):
    raise ImportError(f"KERAS_BACKEND = {BACKEND!r}; allowed: 'tensorflow' or 'jax'")
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count())  # that may compute side by side
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(THREADS))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # only where Keras asks for float64
with _silence():
    import keras

    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns of every new run as of a retracing
        DEVICES = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    else:
        import jax

        DEVICES = jax.devices()


def device():
    """What the computation runs on, in words, such as "cpu" or "NVIDIA H200"."""
    if BACKEND == "jax":
        return DEVICES[0].device_kind
    if DEVICES[0].device_type == "CPU":
        return "cpu"
    physical = tf.config.list_physical_devices("GPU")[0]
    return tf.config.experimental.get_device_details(physical)["device_name"]


def free_memory():
    """Bytes of memory that are free: the accelerator's where JAX knows them, else the machine's."""
    known = DEVICES[0].memory_stats() if BACKEND == "jax" else None
    if known:
        return known["bytes_limit"] - known["bytes_in_use"]
    return psutil.virtual_memory().available


def value_and_gradient(function):
    """`function(values, *rest) -> (scalar, extra)` to ((scalar, extra), gradients by `values`)."""
    if BACKEND == "jax":
        return jax.value_and_grad(function, has_aux=True)

    def evaluate(values, *rest):
        with tf.GradientTape() as tape:
            tape.watch(values)
            value, extra = function(values, *rest)
        zero = tf.UnconnectedGradients.ZERO
        return (value, extra), tape.gradient(value, values, unconnected_gradients=zero)

    return evaluate


def compile_function(function):
    """The function compiled by XLA."""
    if BACKEND == "jax":
        return jax.jit(function)
    return tf.function(function, jit_compile=True, autograph=False)
