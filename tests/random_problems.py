"""Random problems as people bring them, and their values by refitting the model on every coalition.

    python tests/random_problems.py 5000      # six minutes, on one thread

The truth of a draw is a plain table of numbers (and texts), labels and groups. What the package is given is that table
in disguise: as a frame of several dtypes with its columns in another order, as a sparse matrix, as labels of another
type, in other orders of the index. Values of the disguise have to be those of the truth, or the package refuses it.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.errors import UnshapError

#: The second where all numbers are float32, in which scikit-learn then computes.
TOLERANCE, ROUGH = 1e-6, 1e-4
EPS = np.finfo(float).eps
NAMES = [
    ["a", "b", "c", "d"],
    ["age", "income (EUR)", " height", "größe"],
    ["x1", "x10", "x2", "x3"],
    ["1", "0", "3", "2"],
    ["e\n", "d d", "\u00e9", "0"],
]
CLASSES = [["no", "yes", "maybe"], [0, 1, 2], [-1, 1, 3], [False, True], [2.0, 5.0, 7.0], ["1", "2", "10"]]
GROUPS = [["acme", "bolt", "cairn", "dune"], [1, 2, 3, 4], [10, -1, 0, 7], ["1", "2", "x", " "], [0.5, 1.5, 2.5, 3.5]]


@dataclass
class Truth:
    """What is meant: a table with float columns and perhaps one of text, labels, groups, and a model."""

    x: pd.DataFrame
    x_test: pd.DataFrame
    y: np.ndarray
    y_test: np.ndarray
    groups: np.ndarray
    valued: list | None
    model: object

    @property
    def text(self):
        return any(map(pd.api.types.is_object_dtype, self.x.dtypes))

    @property
    def classifies(self):
        return is_classifier(self.model)

    @property
    def players(self):
        return list(self.valued) if self.valued is not None else sorted(set(self.groups.tolist()))


def drawn(rng):
    """A truth, drawn at random; its numbers are shares of powers of two, which every dtype holds."""
    n, t, k = int(rng.integers(14, 30)), int(rng.integers(6, 12)), int(rng.integers(2, 5))
    columns = pd.Index(NAMES[rng.integers(len(NAMES))][:k])
    x = np.round(8 * rng.normal(size=(n + t, k))) / 8
    x[:, 0] = np.round(1024 * rng.normal(size=n + t)) / 1024  # so that no two neighbours are equally far
    for column in range(1, k):
        kind = rng.integers(4)
        x[:, column] = np.round(x[:, column]) if kind == 1 else (x[:, column] > 0) if kind == 2 else x[:, column]
    frame = pd.DataFrame(x, columns=columns)
    score = x[:, 0] - x[:, 1] + rng.normal(size=n + t) / 2
    model, text, classifies = drawn_model(rng, columns)
    if text:
        frame["site"] = pd.Series(np.array(["north", "south", "east"])[rng.integers(3, size=n + t)], dtype=object)
    if classifies:
        labels = np.array(CLASSES[rng.integers(len(CLASSES))])
        labels = labels[: rng.integers(2, len(labels) + 1)]
        y = labels[np.digitize(score, np.linspace(-1, 1, len(labels) + 1)[1:-1])]
    else:
        y = np.round(8 * (score + rng.integers(3))) / 8
    owners = np.array(GROUPS[rng.integers(len(GROUPS))])[: rng.integers(2, 5)]
    groups = owners[np.concatenate([np.arange(len(owners)), rng.integers(len(owners), size=n - len(owners))])]
    valued = None if rng.random() < 0.7 or len(owners) < 3 else owners[rng.permutation(len(owners))[:2]].tolist()
    parts = frame[:n].reset_index(drop=True), frame[n:].reset_index(drop=True)
    return Truth(*parts, y[:n], y[n:], groups, valued, model)


def drawn_model(rng, columns):
    """A model, whether it takes a column of text, and whether it is a classifier."""
    sharp = {"tol": 1e-10, "max_iter": 5000}
    plain = [
        LogisticRegression(**sharp),
        LogisticRegression(C=0.1, fit_intercept=False, **sharp),
        LogisticRegression(class_weight="balanced", **sharp),
        make_pipeline(StandardScaler(), LogisticRegression(**sharp)),
        GaussianNB(),
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(3, random_state=0),
        KNeighborsClassifier(1),
        KNeighborsClassifier(5),
        LinearSVC(dual=False, tol=1e-10, max_iter=10000),
        LinearRegression(),
        Ridge(alpha=0.5),
        Ridge(alpha=2.0, fit_intercept=False),
        KNeighborsRegressor(2),
        DecisionTreeRegressor(random_state=0),
        make_pipeline(StandardScaler(), Ridge()),
    ]
    if rng.random() < 0.2:
        by_name = ColumnTransformer(
            [("scale", StandardScaler(), list(columns)), ("hot", OneHotEncoder(handle_unknown="ignore"), ["site"])]
        )
        end = [LogisticRegression(**sharp), Ridge()][rng.integers(2)]
        return make_pipeline(by_name, end), True, is_classifier(end)
    model = plain[rng.integers(len(plain))]
    return model, False, is_classifier(model)


def refitted(truth):
    """The values of the players by refitting on every coalition; whatever the model refuses is raised."""
    x, x_test = (part if truth.text else part.to_numpy() for part in (truth.x, truth.x_test))
    classes = np.unique(truth.y)

    def utility(keep):
        rows = np.flatnonzero(np.isin(truth.groups, [p for p, kept in zip(truth.players, keep, strict=True) if kept]))
        if truth.valued is not None:
            rows = np.flatnonzero(~np.isin(truth.groups, truth.valued) | np.isin(np.arange(len(truth.y)), rows))
        seen = np.unique(truth.y[rows])
        if not truth.classifies:
            if len(rows) == 0:
                return -np.square(truth.y_test).mean()
            fitted = clone(truth.model).fit(x.iloc[rows] if truth.text else x[rows], truth.y[rows])
            return -np.square(truth.y_test - fitted.predict(x_test)).mean()
        p = np.zeros((len(truth.y_test), len(classes)))
        probable = hasattr(truth.model, "predict_proba")
        if len(seen) == 0:
            p[:] = 1 / len(classes)
        elif len(seen) == 1:
            p[:, np.searchsorted(classes, seen)] = 1
        else:
            fitted = clone(truth.model).fit(x.iloc[rows] if truth.text else x[rows], truth.y[rows])
            if probable:
                p[:, np.searchsorted(classes, seen)] = fitted.predict_proba(x_test)
            else:
                p[np.arange(len(p)), np.searchsorted(classes, fitted.predict(x_test))] = 1
        own = np.searchsorted(classes, truth.y_test)
        if not probable:
            return (p.argmax(axis=1) == own).mean()
        p = np.clip(p, EPS, 1)
        return np.log(p / p.sum(axis=1, keepdims=True))[np.arange(len(p)), own].mean()

    return shapley(utility, len(truth.players))


def shapley(utility, n):
    """Shapley values by their definition."""
    known = {keep: utility(keep) for keep in itertools.product([False, True], repeat=n)}
    values = np.zeros(n)
    for keep, without in known.items():
        size = sum(keep)
        weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n) if size < n else 0.0
        for i in range(n):
            if not keep[i]:
                values[i] += weight * (known[tuple(k or j == i for j, k in enumerate(keep))] - without)
    return values


# The disguises.


def disguised_x(rng, truth):
    """Training and test rows as somebody brings them, and in which form."""
    form = rng.choice(["frame", "frame", "frame", "array", "list", "object", "sparse", "tensor"])
    if truth.text:
        form = "frame"
    parts = truth.x, truth.x_test
    if form == "frame":
        return tuple(as_frame(rng, part, order=k > 0) for k, part in enumerate(parts)), form
    arrays = [part.to_numpy(dtype=float) for part in parts]
    if form == "sparse":
        kind = [sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.lil_matrix][rng.integers(5)]
        return tuple(kind(part) for part in arrays), form
    make = {
        "array": lambda a: a[:, ::-1][:, ::-1] if rng.random() < 0.5 else np.asfortranarray(a),
        "list": lambda a: a.tolist(),
        "object": lambda a: a.astype(object),
        "tensor": torch.as_tensor,
    }[form]
    return tuple(make(part) for part in arrays), form


def as_frame(rng, part, order):
    """A table whose columns have the dtypes that hold them, in another order, with another index."""
    frame = pd.DataFrame(index=part.index)
    for name, column in part.items():
        frame[name] = column if pd.api.types.is_object_dtype(column) else column.astype(drawn_dtype(rng, column))
    if "site" in frame and rng.random() < 0.3:
        frame["site"] = frame["site"].astype("category")
    if order and rng.random() < 0.7:
        frame = frame[frame.columns[rng.permutation(frame.shape[1])]]
    index = [lambda n: np.arange(n)[::-1], lambda n: np.arange(n) // 2, lambda n: [f"row {k}" for k in range(n)]]
    if rng.random() < 0.5:
        frame.index = pd.Index(index[rng.integers(3)](len(frame)))
    return frame


def drawn_dtype(rng, column):
    """A dtype that holds every number of a column."""
    fits = ["float64", "float32", "Float64", "object", "category"]
    if (column == column.round()).all():
        fits += ["int64", "int8", "Int64", "Int32"]
    if column.isin([0, 1]).all():
        fits += ["bool", "boolean", "uint8"]
    return fits[rng.integers(len(fits))]


def disguised_labels(rng, y, index):
    """Labels as a list, a series with the index of the rows or another, a category, a column."""
    forms = [
        lambda: y,
        lambda: y.tolist(),
        lambda: pd.Series(y, index=index),
        lambda: pd.Series(y, index=np.arange(len(y))[::-1]),
        lambda: pd.Series(y).astype("category"),
        lambda: pd.Series(y).convert_dtypes(),
        lambda: y.astype(object),
        lambda: tuple(y.tolist()),
    ]
    return forms[rng.integers(len(forms))]()


def broken(rng, table):
    """A table of which no model can know what is meant."""
    what, name = rng.integers(5), next(one for one in table.columns if one != "site")
    if what == 0:
        return table.rename(columns={name: f"{name}x"})
    if what == 1:
        return table.drop(columns=name)
    if what == 2:
        return table.assign(extra=1.0)
    if what == 3:
        return table.assign(**{name: ["text", *["other"] * (len(table) - 1)]})
    return pd.concat([table, table], axis=1)


def in_single_precision(table):
    """Whether NumPy takes the numbers of a table, which scikit-learn does then too, as float32."""
    dtypes = [getattr(dtype, "numpy_dtype", dtype) for dtype in table.dtypes]
    numbers = all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes)
    return numbers and np.result_type(*dtypes) == np.float32


def value_of(rng, truth):
    """The values that the package finds for a disguise, how near they have to be, and whether it is a broken one."""
    (x, x_test), form = disguised_x(rng, truth)
    breaks = form == "frame" and rng.random() < 0.15
    index = x.index if form == "frame" else None
    fit_x = truth.x if truth.text or (form == "frame" and rng.random() < 0.6) else truth.x.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = clone(truth.model).fit(fit_x, truth.y)
    y, y_test = disguised_labels(rng, truth.y, index), disguised_labels(rng, truth.y_test, None)
    groups = disguised_labels(rng, truth.groups, index)
    if form == "frame" and not isinstance(fit_x, pd.DataFrame):  # which goes by position: leave the order
        x_test = x_test[list(truth.x_test.columns)]
    x_test = broken(rng, x_test) if breaks else x_test
    problem = ValuationProblem(model, (x, y), (x_test, y_test), groups=groups, valued=truth.valued)
    unlearner = "auto" if isinstance(truth.model, Ridge | LinearRegression) and rng.random() < 0.5 else "retrain"
    result = shapley_values(UnlearningGame(problem, unlearner), "exact")
    rough = form == "frame" and in_single_precision(x)
    return dict(zip(result.players, result.values, strict=True)), ROUGH if rough else TOLERANCE, breaks


def check(seed):
    """Whether a draw was valued (``None`` if the package refused it); raises where the values are others."""
    rng = np.random.default_rng(seed)
    truth = drawn(rng)
    try:
        found, tolerance, breaks = value_of(rng, truth)
    except UnshapError:
        return None
    assert not breaks, f"draw {seed}: a broken table has to be refused"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = refitted(truth)
    assert [str(p) for p in found] == [str(p) for p in truth.players], f"draw {seed}: {list(found)}"
    np.testing.assert_allclose(list(found.values()), expected, atol=tolerance, rtol=tolerance, err_msg=f"draw {seed}")
    return True


def main():
    """Check as many draws as were asked for."""
    begin, draws = time.perf_counter(), int(sys.argv[1])
    valued = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(draws):
            valued += check(seed) is not None
    seconds = time.perf_counter() - begin
    sys.stdout.write(f"{draws} draws, {valued} valued, {draws - valued} refused, {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
