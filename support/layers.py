"""Keras layers for ensembles of students: the diagonal SSM and the network that may follow it.

Every weight has the ensemble axis last; member i reads and writes only slice i. The layers are
thin: what they compute are pure functions of their weights, which the compiled loop of
`support.training` calls with values of its own.
"""

import numpy as np

from support.backend import keras

__all__ = ["DiagonalSSM", "ReluNetwork", "Student", "impulse_response"]

ops = keras.ops


def _powers(a, count):
    """1, a, ..., a^(count - 1), as a list of arrays like `a`."""
    powers = [ops.ones_like(a)]
    for _ in range(count - 1):
        powers.append(powers[-1] * a)
    return powers


def _polynomial(coefficients, a):
    """sum_k coefficients[k] a^k by Horner's rule; coefficients [..., members], a [d, members]."""
    value = ops.zeros_like(a)
    for k, coefficient in enumerate(reversed(coefficients)):
        value = value * a + coefficient if k else coefficient * ops.ones_like(a)
    return value


def _full_transition_norm(a, b, c, g):
    """Norm of the gradient by a full d x d transition matrix, at diagonal a: shape [members].

    With g_k the gradient by lag k's entry of the impulse response, the matrix entry (i, j) is
    c_i b_j sum_pq H_pq a_i^p a_j^q, where H_pq = g_(p+q+1). Its square norm is tr(W_c H W_b H) with
    the Hankel moments (W_c)_pq = sum_i c_i^2 a_i^(p+q), and W_b likewise: no d x d array is built.
    """
    size = len(g) - 1
    powers = _powers(a, 2 * size - 1)

    def moments(weights):
        return [ops.sum(weights * weights * power, axis=0) for power in powers]

    def times_H(m):
        return [
            [sum(g[p + q + 1] * m[q + s] for q in range(size - p)) for s in range(size)]
            for p in range(size)
        ]

    X, Y = times_H(moments(c)), times_H(moments(b))
    products = (X[p][s] * Y[s][p] for p in range(size) for s in range(size))
    return ops.sqrt(ops.maximum(sum(products, ops.zeros_like(g[0])), 0))


def impulse_response(a, b, c, length, probe=None):
    """sum_j c_j a_j^k b_j for k < length: weights [d, members] to [length, members].

    With a `probe` [members], the backward pass is written out by hand (it is Proposition 1's sum,
    lag by lag) and also reports, as the probe's gradient, the norm that the gradient would have
    by a full transition matrix: the released runs' learning rate needs it. The probe is not used.
    """
    weights = (a, b, c) if probe is None else (a, b, c, probe)

    @ops.custom_gradient
    def response(*weights):
        a, b, c = weights[:3]

        def gradient(*args, upstream=None):
            g = args[0] if upstream is None else upstream
            g = [g[k] for k in range(length)]
            common = _polynomial(g, a)
            slope = _polynomial([k * g[k] for k in range(1, length)], a)
            gradients = b * c * slope, c * common, b * common
            return gradients if probe is None else (*gradients, _full_transition_norm(a, b, c, g))

        bc = b * c
        return ops.stack([ops.sum(bc * power, axis=0) for power in _powers(a, length)]), gradient

    return response(*weights)


class DiagonalSSM(keras.layers.Layer):
    """An ensemble of diagonal SSMs (Section 2.2): sequences [n, kappa, members] to [n, members].

    `transition`, `input`, `output` are the initial values, [d, members]; sequences [n, kappa, 1] go
    to every member. `train_ends` says whether B and C are trained. `released` adds the probe.
    `stable` has the weight nu learned in place of a = exp(-exp(nu)), which stays between 0 and 1
    (as in the Linear Recurrent Unit, Orvieto et al. 2023); `transition` is then nu's initial value.
    """

    def __init__(
        self, transition, input, output, train_ends=True, released=False, stable=False, **options
    ):
        super().__init__(**options)
        self.stable = stable
        start = [np.asarray(x) for x in (transition, input, output)]
        if start[0].ndim != 2 or len({x.shape for x in start}) != 1:
            shapes = ", ".join(str(x.shape) for x in start)
            raise ValueError(f"A, B, C have shapes {shapes}; allowed: one shape [d, members]")
        names = ("transition", "input", "output")
        for name, value in zip(names, start, strict=True):
            weight = _weight(self, name, value, name == "transition" or train_ends)
            setattr(self, f"{name}_weight", weight)
        self.probe = _weight(self, "probe", np.zeros(start[0].shape[1]), True) if released else None
        self.built = True

    @property
    def transition(self):
        """The diagonal of A, [d, members], as a tensor."""
        weight = self.transition_weight.value
        return ops.exp(-ops.exp(weight)) if self.stable else weight

    def impulse_response(self, length):
        """The members' impulse responses, [length, members]."""
        ends = self.input_weight.value, self.output_weight.value
        probe = None if self.probe is None else self.probe.value
        return impulse_response(self.transition, *ends, length, probe)

    def call(self, sequences):
        h = self.impulse_response(sequences.shape[1])  # [kappa, members]
        return ops.sum(ops.flip(sequences, axis=1) * h, axis=1)  # Equation (2)


def _weight(layer, name, value, trainable):
    def initial(shape, dtype=None):
        return ops.convert_to_tensor(value, dtype)

    return layer.add_weight(shape=value.shape, initializer=initial, trainable=trainable, name=name)


class ReluNetwork(keras.layers.Layer):
    """An ensemble of ReLU networks without biases: numbers [n, members] to [n, members].

    `kernels` are the initial values, each [inputs, outputs, members], one for each layer. Without
    biases f(z) is f(1) z for z > 0 and f(-1) |z| for z < 0: `folded` has only these two computed,
    whatever n. The same function, many times faster, with other rounding.
    """

    def __init__(self, kernels, folded=False, **options):
        super().__init__(**options)
        self.folded = folded
        self.kernels = [
            _weight(self, f"kernel_{i}", np.asarray(kernel), True)
            for i, kernel in enumerate(kernels)
        ]
        self.built = True

    def call(self, numbers):
        if self.folded:
            up, down = self._on_either_side()
            return ops.relu(numbers) * up + ops.relu(-numbers) * down
        z = ops.expand_dims(numbers, 1)  # [n, 1, members]
        for i, kernel in enumerate(self.kernels):
            z = ops.einsum("nim,iom->nom", ops.relu(z) if i else z, kernel.value)
        return z[:, 0]

    def _on_either_side(self):
        """f(1) and f(-1), each [members]."""
        first, *others = (kernel.value for kernel in self.kernels)
        z = ops.stack([first[0], -first[0]])  # [2, outputs, members]
        for kernel in others:
            z = ops.sum(ops.relu(z)[:, :, None] * kernel, axis=1)
        return z[0, 0], z[1, 0]


class Student(keras.Model):
    """A DiagonalSSM, alone or followed by a ReluNetwork (Section 2.2)."""

    def __init__(self, ssm, head=None):
        super().__init__(dtype=ssm.dtype_policy)  # else Keras casts to float32
        self.ssm, self.head = ssm, head
        self.built = True

    def call(self, sequences):
        z = self.ssm(sequences)
        return z if self.head is None else self.head(z)

    @property
    def members(self):
        """The number of students in the ensemble."""
        return self.ssm.transition_weight.shape[-1]

    @property
    def kind(self):
        """What students of the same architecture share, values and members aside; None where some
        weights are not trained, since the computation then depends on their values."""
        if not all(weight.trainable for weight in self.weights):
            return None
        folded = self.head is not None and self.head.folded
        return (
            folded,
            self.ssm.stable,
            *((v.name, *v.shape[:-1], str(v.dtype)) for v in self.weights),
        )

    def take(self, members):
        """A student of its own made of these members (indices): their weights as they are now."""

        def part(weight):
            return weight.numpy()[..., members]

        ssm, head = self.ssm, self.head
        weights = (ssm.transition_weight, ssm.input_weight, ssm.output_weight)
        options = {"train_ends": ssm.input_weight.trainable, "released": ssm.probe is not None}
        options["stable"] = ssm.stable
        taken = DiagonalSSM(*map(part, weights), dtype=ssm.dtype_policy, **options)
        if head is not None:
            kernels = [part(kernel) for kernel in head.kernels]
            head = ReluNetwork(kernels, folded=head.folded, dtype=head.dtype_policy)
        return Student(taken, head)
