"""Values by enumeration: the definition, for games of a few players."""

from __future__ import annotations

import itertools
import math

import numpy as np


def shapley(utility, n):
    """Return the Shapley values ``[n]`` of ``utility(coalition)``, a function of bool ``[n]``."""
    return semivalues(utility, n, lambda size: math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n))


def semivalues(utility, n, weight):
    """Return the sums ``[n]`` of marginal contributions, each times the ``weight(size)`` of one coalition."""
    known = {keep: float(utility(np.array(keep))) for keep in itertools.product([False, True], repeat=n)}
    values = np.zeros(n)
    for keep, without in known.items():
        for i in np.flatnonzero(~np.array(keep)):
            joined = tuple(k or j == i for j, k in enumerate(keep))
            values[i] += weight(sum(keep)) * (known[joined] - without)
    return values


def log_likelihood(model, x, y, labels):
    """Return the mean log-probability of labels ``y``, of classes never seen that of round-off."""
    probabilities = np.full((len(y), len(labels)), np.finfo(float).eps)
    found = np.clip(model.predict_proba(x), np.finfo(float).eps, 1)
    for k, label in enumerate(model.classes_):
        probabilities[:, list(labels).index(label)] = found[:, k]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    return np.log(probabilities[rows, [list(labels).index(one) for one in y]]).mean()


def refitted(make, train, test, groups, taken=lambda x, keep: x[keep]):
    """Return the values of a classifier that is refitted for every coalition of its providers, by log-likelihood.

    Without rows all classes are equally likely, with rows of one class it is that one.
    """
    (x, y), (x_test, y_test), names = train, test, sorted(set(groups))
    labels = sorted(set(y))

    def utility(keep):
        rows = np.isin(groups, [name for name, k in zip(names, keep, strict=True) if k])
        seen = sorted(set(np.asarray(y)[rows]))
        if not seen:
            return -np.log(len(labels))
        if len(seen) == 1:
            eps = np.finfo(float).eps
            odd = np.log(eps / (1 + (len(labels) - 1) * eps))
            return np.where(np.asarray(y_test) == seen[0], np.log(1 / (1 + (len(labels) - 1) * eps)), odd).mean()
        return log_likelihood(make().fit(taken(x, rows), np.asarray(y)[rows]), x_test, y_test, labels)

    return shapley(utility, len(names))
