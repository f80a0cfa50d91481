"""Tables, models and groupings drawn at random: values are those of refitting, or the package says why not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from brute import refitted, shapley
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from unshap_plugin import value
from unshap_plugin.errors import UnshapError

CLASSIFIERS = [
    lambda: LogisticRegression(tol=1e-10, max_iter=2000),
    lambda: make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=2000)),
    lambda: DecisionTreeClassifier(max_depth=2, random_state=0),
]
REGRESSORS = [Ridge, lambda: make_pipeline(Ridge()), LinearRegression]
DTYPES = ["f8", "f4", "i8", "i2", "bool", "Int64", "Float64", "boolean", "object", "category"]


class Draw:
    """One problem: the numbers, and the tables that hold them."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.rng, d, self.rows, self.tests = rng, int(rng.integers(1, 5)), int(rng.integers(12, 25)), 15
        self.names = [str(one) for one in rng.choice(["a", "b", " c", "d d", "e\n", "é", "0"], d, replace=False)]
        whole = rng.integers(-2, 3, (self.rows + self.tests, d)) / 1.0
        kinds = rng.choice(DTYPES, d)
        for k, kind in enumerate(kinds):
            if kind in ("bool", "boolean"):
                whole[:, k] = whole[:, k] > 0
            elif kind[0] in "fFo":
                whole[:, k] += rng.integers(0, 8, len(whole)) / 8
        table = pd.DataFrame({n: pd.Series(whole[:, k]).astype(kinds[k]) for k, n in enumerate(self.names)})
        self.numbers = whole[: self.rows], whole[self.rows :]
        self.tables = table.iloc[: self.rows], table.iloc[self.rows :]
        self.players = int(rng.integers(2, 5))
        self.groups = rng.permutation(np.arange(self.rows) % self.players)
        self.score = whole @ rng.normal(size=d) + rng.normal(size=len(whole)) / 2

    def shown(self, which):
        """Return the table of a set in some form, and with its columns in some order."""
        table, form = self.tables[which], self.rng.integers(5)
        if form == 0 and which == 1:
            return self.numbers[1]
        table = table[self.rng.permutation(self.names)]
        if form == 1:
            return table.set_index(np.zeros(len(table)))
        return table.convert_dtypes() if form == 2 else table

    def broken(self, table):
        """Return the table with something that has to be refused."""
        table = table.copy()
        what, name = self.rng.integers(5), table.columns[0]
        if what == 0:
            return table.rename(columns={name: f"{name}x"})
        if what == 1:
            return table.drop(columns=name)
        if what == 2:
            return table.assign(extra=1.0)
        if what == 3:
            table[name] = ["text", *["other"] * (len(table) - 1)]
            return table
        return pd.concat([table, table], axis=1)


def check(seed):
    """Compare the values of one draw with refitting."""
    draw = Draw(seed)
    rng, regression = draw.rng, bool(draw.rng.integers(3) == 0)
    cuts = np.quantile(draw.score, [0.5] if rng.integers(2) else [0.3, 0.7])
    y = draw.score if regression else np.digitize(draw.score, cuts)
    if not regression:
        y = np.array(["low", "mid", "top"])[y] if rng.integers(2) else y
    train, test = y[: draw.rows], y[draw.rows :]
    keep = np.isin(test, train) if not regression else np.ones(draw.tests, bool)
    makes = REGRESSORS if regression else CLASSIFIERS
    make, (x, xt) = makes[rng.integers(len(makes))], draw.numbers
    fitted = make().fit(draw.tables[0].astype(float), train)
    shown = [draw.shown(0), draw.shown(1)]
    shown[1] = shown[1][keep]
    broken = rng.integers(6) == 0
    if broken:
        shown[1] = draw.broken(shown[1] if isinstance(shown[1], pd.DataFrame) else draw.tables[1][keep])
    elif rng.integers(6) == 0:
        shown = [sparse.csr_matrix(one) for one in (x, xt[keep])]
    arguments = {"groups": draw.groups, "unlearner": "retrain", "estimator": "exact"}
    sets = {"train": (shown[0], train), "test": (shown[1], test[keep])}
    try:
        found = value(fitted, **sets, **arguments).values  # noqa: PD011
    except UnshapError:
        if isinstance(shown[0], pd.DataFrame) and not broken and keep.any() and len(np.unique(train)) > 1:
            raise
        return "refused"
    assert not broken, "a broken table has to be refused"
    if not regression:
        truth = refitted(make, (x, train), (xt[keep], test[keep]), draw.groups)
    else:

        def utility(kept):
            rows = np.isin(draw.groups, np.flatnonzero(kept))
            answers = make().fit(x[rows], train[rows]).predict(xt) if rows.any() else 0.0
            return -np.mean((answers - test) ** 2)

        truth = shapley(utility, draw.players)
    single = (draw.tables[0].dtypes == "float32").all()  # which a pipeline is then fitted in
    np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-3 if single else 1e-6)
    return "compared"


# What pandas 1.5 does with several dtypes on numpy 1.25, when scikit-learn asks.
@pytest.mark.filterwarnings("ignore:np.find_common_type:DeprecationWarning")
@pytest.mark.parametrize("block", range(4))
def test_values_of_random_tables_are_those_of_refitting(block):
    outcomes = [check(seed) for seed in range(10 * block, 10 * block + 10)]
    assert outcomes.count("compared") >= 5
