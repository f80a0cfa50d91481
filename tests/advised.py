"""Small problems of objects with fit and predict, for the tests of advice."""

from __future__ import annotations

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values

RNG = np.random.default_rng(0)
X, XT = RNG.normal(size=(30, 3)), RNG.normal(size=(20, 3))
Y, YT = (X[:, 0] > 0).astype(int), (XT[:, 0] > 0).astype(int)
THREE, THREE_T = (1 + np.sign(X[:, 1]) * (abs(X[:, 1]) > 0.5)).astype(int), (1 + np.sign(XT[:, 1])).astype(int)
NAMES, NAMES_T = np.array(["no", "yes"])[Y], np.array(["no", "yes"])[YT]
GROUPS = np.repeat(list("abc"), 10)


def values(model, x=X, y=Y, xt=XT, yt=YT, unlearner="auto", **kwargs):
    groups = GROUPS if len(y) == len(GROUPS) else np.resize(GROUPS, len(y))
    problem = ValuationProblem(model, (x, y), (xt, yt), **{"groups": groups, **kwargs})
    result = shapley_values(UnlearningGame(problem, unlearner), "exact")
    return result.values.copy()


def same(found, expected, atol=1e-9):
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 1e-4, "somebody is worth something"
    np.testing.assert_allclose(found, expected, atol=atol)


def plausible(found):
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 1e-4


class Own:
    """A classifier of somebody's own, by a tree."""

    predict_by = staticmethod(lambda answers: answers)

    def fit(self, x, y):
        self.tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
        self.classes_ = self.tree.classes_
        return self

    def predict(self, x):
        return self.predict_by(self.tree.predict(x))


def tree(x=X, y=Y, xt=XT, yt=YT, fitted=None, **kwargs):
    fitted = (x, y) if fitted is None else fitted
    return values(DecisionTreeClassifier(max_depth=2, random_state=0).fit(*fitted), x, y, xt, yt, **kwargs)


#: What a classifier of one's own is worth where nothing is wrong with it.
TREE = values(Own().fit(X, Y))
