"""What `fit` needs to train as the compiled loop does: for the test that compares the two."""

from support.backend import keras
from support.optimizers import RULES, step

ops = keras.ops


class AdaptiveGradientDescent(keras.optimizers.Optimizer):
    """Gradient descent with the paper's adaptive rate, for each member of an ensemble its own.

    `rule` is "text" or "released" (see `gradient_size`); raises ValueError for another."""

    def __init__(self, learning_rate=0.01, rule="text", name="adaptive", **options):
        if rule not in RULES[:2]:
            raise ValueError(f"rule = {rule!r}; allowed: 'text' or 'released'")
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.rule = rule

    def build(self, variables):
        """Make the moving average, [members]."""
        if not self.built:
            super().build(variables)
            self.average = self.add_variable(
                variables[0].shape[-1:], dtype=variables[0].dtype, name="average"
            )

    def apply(self, grads, trainable_variables=None):
        """One step for all variables at once: the rate looks at all of their gradients."""
        if trainable_variables is not None:
            self.build(trainable_variables)
        variables = self._trainable_variables
        names = [variable.name for variable in variables]
        values = [variable.value for variable in variables]
        rate = ops.cast(self.learning_rate, self.average.dtype)
        count = self.iterations + 1
        moved, (average,) = step(self.rule, names, rate, count, values, grads, [self.average.value])
        for variable, value in zip(variables, moved, strict=True):
            variable.assign(value)
        self.average.assign(average)
        self.iterations.assign_add(1)


def ensemble_square_error(labels, answers):
    """Keras loss whose mean over sequences is Equation (3) summed over members: [n]."""
    return ops.sum(ops.square(labels - answers), axis=-1)
