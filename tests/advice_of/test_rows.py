"""What errors about rows and columns, and about models of other rows, advise, followed to the letter."""

from __future__ import annotations

from functools import partial
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from advice import Case, check, without_a_case
from advised import GROUPS, NAMES, NAMES_T, THREE, THREE_T, TREE, XT, YT, Own, X, Y, plausible, same, values
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state

from unshap_plugin.model import numeric

FOLDERS = [f"unshap_plugin/model/{name}.py" for name in ("columns", "numeric", "plain_fit", "raw", "rows")]


def frame(x=X, names="abc"):
    return pd.DataFrame(x, columns=list(names))


def ridge(xt, x=None):
    x = frame() if x is None else x
    return values(Ridge().fit(frame(), X[:, 0]), x, X[:, 0], xt, XT[:, 0])


WIDE = frame(np.c_[XT, YT], "abcd")
OTHER = frame(XT, "abd")
TWICE = frame(XT, "abb")
ALIEN = WIDE.rename(columns={"c": "e"})
RIDGE = ridge(frame(XT))

COLUMNS = [
    Case(
        "a column under another name",
        lambda: ridge(OTHER),
        "rename columns, or pass arrays, which go by position.",
        (
            lambda: same(ridge(OTHER.rename(columns={"d": "c"})), RIDGE),
            lambda: same(ridge(OTHER.to_numpy()), RIDGE),
        ),
    ),
    Case(
        "a column too few",
        lambda: ridge(OTHER[["a", "b"]]),
        ": add them.",
        (lambda: same(ridge(OTHER[["a", "b"]].assign(c=XT[:, 2])), RIDGE),),
    ),
    Case(
        "a column too many",
        lambda: ridge(WIDE),
        ": drop them.",
        (lambda: same(ridge(WIDE.drop(columns="d")), RIDGE),),
    ),
    Case(
        "another name and a column too many",
        lambda: ridge(ALIEN),
        "rename columns, and drop others.",
        (lambda: same(ridge(ALIEN.rename(columns={"e": "c"}).drop(columns="d")), RIDGE),),
    ),
    Case(
        "another name and a column too few",
        lambda: ridge(OTHER[["a", "d"]]),
        "rename columns, and add others.",
        (lambda: same(ridge(OTHER[["a", "d"]].rename(columns={"d": "c"}).assign(b=XT[:, 1])), RIDGE),),
    ),
    Case(
        "a name twice",
        lambda: ridge(TWICE),
        "rename or drop them.",
        (
            lambda: same(ridge(TWICE.set_axis(list("abc"), axis=1)), RIDGE),
            lambda: same(ridge(TWICE.loc[:, ~TWICE.columns.duplicated()].assign(c=XT[:, 2])), RIDGE),
        ),
    ),
]


WORDS = pd.DataFrame({"a": X[:, 0], "word": NAMES})
WORDS_T = pd.DataFrame({"a": XT[:, 0], "word": NAMES_T})

HELD, HELD_T = (np.stack([x[:, 0].astype(object), names], axis=1) for x, names in ((X, NAMES), (XT, NAMES_T)))


def encoded(table):
    return pd.get_dummies(table, columns=["word"], dtype=float)


def pipeline():
    """Encode words and refit as a whole; nothing of it is a module, so that no plain fit differs."""
    return make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["word"]), remainder="passthrough"),
        LogisticRegression(),
    )


FITTED = LogisticRegression().fit(encoded(WORDS), Y)
THIN, THIN_T = sparse.csr_matrix(X * (X > 0)), sparse.csr_matrix(XT * (XT > 0))


def thin(x=THIN, xt=THIN_T, wrap=lambda model: model, most=100):
    """Value rows of which so many bytes may be dense."""
    with mock.patch.object(numeric, "DENSE_BYTES", most):
        return values(wrap(LogisticRegression(tol=1e-10, max_iter=1000).fit(x, Y)), x, Y, xt, YT, unlearner="retrain")


LACKING, LACKING_T = np.where(np.arange(90).reshape(30, 3) == 4, np.nan, X), XT
FILLED = np.where(np.isnan(LACKING), 0.0, LACKING)


def logistic(x=X, y=Y, fitted=None, make=LogisticRegression, **kwargs):
    fitted = (x, y) if fitted is None else fitted
    return values(make().fit(*fitted), x, y, unlearner="retrain", **kwargs)


class Lucky(BaseEstimator, ClassifierMixin):
    """A classifier that one seed in fifty makes another one."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, x, y):
        rare = check_random_state(self.random_state).uniform() < 0.02
        self.tree_ = DecisionTreeClassifier(max_depth=1 if rare else 4, random_state=0).fit(x, y)
        self.classes_ = self.tree_.classes_
        return self

    def predict(self, x):
        return self.tree_.predict(x)


RARE = next(seed for seed in range(1000) if np.random.RandomState(seed).uniform() < 0.02)


def lucky(random_state=None):
    state = np.random.get_state()
    np.random.seed(RARE)
    try:
        model = Lucky(random_state).fit(X, THREE)
    finally:
        np.random.set_state(state)
    return values(model, X, THREE, XT, THREE_T)


SCALED = StandardScaler().fit_transform(10 * X)

READER = make_pipeline(CountVectorizer(), DecisionTreeClassifier(random_state=0)).fit(NAMES, Y)


class Needy(Own):
    """A classifier whose fit takes tables alone, of some rows."""

    def fit(self, x, y):
        assert len(x.columns) == 3
        assert len(x) >= 10
        return super().fit(x.to_numpy(), y)

    def predict(self, x):
        return super().predict(np.asarray(x))


def weights(x):
    return np.where(x[:, 0] > 0, 50.0, 0.1)


class Weighted(LogisticRegression):
    """A model whose own fit weighs rows."""

    def fit(self, x, y):
        return super().fit(x, y, sample_weight=weights(x))


DATA = [
    Case(
        "a generator of rows",
        lambda: values(FITTED, (row for row in X)),
        "pass a list",
        (lambda: same(logistic(list(row for row in X)), logistic()),),  # noqa: C400
    ),
    Case(
        "words for a model of numbers",
        lambda: values(LogisticRegression().fit(np.c_[X[:, 0], Y], Y), WORDS, Y, WORDS_T),
        "encode text and categories first; where it is one of scikit-learn, best in a pipeline with it, which is "
        "refitted as a whole",
        (
            lambda: plausible(values(FITTED, encoded(WORDS), Y, encoded(WORDS_T))),
            lambda: plausible(values(pipeline().fit(WORDS, Y), WORDS, Y, WORDS_T)),
        ),
    ),
    Case(
        "an array of words",
        lambda: values(LogisticRegression().fit(np.c_[X[:, 0], Y], Y), HELD, Y, HELD_T),
        "encode text and categories first.",
        (lambda: plausible(values(FITTED, encoded(WORDS), Y, encoded(WORDS_T))),),
    ),
    *(
        Case(
            f"words in {where}",
            partial(values, FITTED, words, Y, words_t),
            "encode text and categories first.",
            (lambda: plausible(values(FITTED, encoded(WORDS), Y, encoded(WORDS_T))),),
        )
        for where, words, words_t in (
            ("an array of text", HELD.astype(str), HELD_T.astype(str)),
            ("a column", WORDS["word"].astype("category"), WORDS_T["word"].astype("category")),
        )
    ),
    Case(
        "sparse rows that are too many",
        thin,
        "give fewer columns, or, where it is one of scikit-learn, make_pipeline(model), which is refitted on sparse "
        "rows as they are",
        (
            lambda: plausible(thin(THIN[:, :1], THIN_T[:, :1], most=300)),
            lambda: same(thin(wrap=make_pipeline), thin(most=10**6), 1e-5),
        ),
    ),
    Case(
        "a text that is no row",
        lambda: values(READER, np.array("yes"), Y),
        "pass one entry per row",
        (lambda: plausible(values(READER, NAMES, Y, NAMES_T)),),
    ),
    Case(
        "a number that is no row",
        lambda: values(FITTED, 3.0, Y),
        "pass an array with one entry per row",
        (lambda: plausible(logistic(X[:, :1], xt=XT[:, :1])),),
    ),
    Case(
        "a row that lacks a number",
        lambda: logistic(LACKING, fitted=(X, Y)),
        "drop or impute those rows",
        (
            lambda: plausible(logistic(np.delete(LACKING, 1, 0), np.delete(Y, 1))),
            lambda: plausible(logistic(FILLED)),
        ),
    ),
    Case(
        "fewer rows than the fit needs",
        lambda: values(Needy().fit(frame(), Y), frame()[:8], Y[:8], groups=GROUPS[6:14]),
        "give the rows that it was fitted on",
        (lambda: same(values(Needy().fit(frame(), Y), frame()), TREE),),
    ),
    Case(
        "rows in another form than the fit takes",
        lambda: values(Needy().fit(frame(), Y)),
        "in the form that its fit takes",
        (lambda: same(values(Needy().fit(frame(), Y), frame()), TREE),),
    ),
    Case(
        "a model of weighted rows",
        lambda: values(LogisticRegression().fit(X, Y, sample_weight=weights(X)), unlearner="retrain"),
        "fit it again with fit(x, y) on train as it is given, or give an object whose own fit(x, y) does all that was "
        "done.",
        (lambda: plausible(logistic()), lambda: plausible(logistic(make=Weighted))),
    ),
    Case(
        "a model of scaled rows",
        lambda: values(LogisticRegression().fit(SCALED, Y), 10 * X, Y, 10 * XT, unlearner="retrain"),
        "fit it again with fit(x, y) on train as it is given, or give an object whose own fit(x, y) does all that was "
        "done.",
        (
            lambda: plausible(logistic(10 * X, xt=10 * XT)),
            lambda: plausible(
                logistic(10 * X, xt=10 * XT, make=lambda: make_pipeline(StandardScaler(), LogisticRegression()))
            ),
        ),
    ),
    Case(
        "a fit that chance made another",
        lucky,
        "; if the fit draws at random, fit it with a random_state.",
        (lambda: plausible(lucky(RARE)),),
    ),
]


CASES = [*COLUMNS, *DATA]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
