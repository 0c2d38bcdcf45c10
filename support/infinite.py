"""Training on infinitely many sequences, and on how much of them the paper's own are."""

from support.datasets import expected_moments
from support.training import moment_loss, train

__all__ = ["on_infinitely_many"]


def on_infinitely_many(experiment, seeds, population, special, fit, most=100_000):
    """Train a standalone row's students on infinitely many sequences: their Run, and the students.

    A share `population` of the baseline has all entries standard normal, the rest the paper's; a
    share `special` of all sequences is special. A run stops where the loss on the baseline can be
    no more than `fit`, or after `most` iterations, and is read as the paper reads it.
    """
    s, kappa = experiment.setting, experiment.setting["kappa"]
    rest = 1 - special
    shares = [(rest * (1 - population), s["baseline_indices"]), (special, s["special_indices"])]
    M = expected_moments([*shares, (rest * population, list(range(1, kappa + 1)))], kappa)
    target, student = experiment.teacher.impulse_response(kappa), experiment.student(seeds)
    arrays = (x.astype(experiment.precision) for x in (M[..., None], target))
    options = dict(rate=s["lr"]["with"], stop_loss=fit * rest, most=most, chunk=64)
    options |= {"extra": experiment.further("with"), "progress": False}
    return train(student, moment_loss(*arrays), rule=experiment.rule, **options), student
