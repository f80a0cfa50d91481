"""Objects that need tables, text or sparse rows are valued as they are: coalitions are refitted on rows in that form."""

# ruff: noqa: E501, RUF043
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from brute import refitted
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from tables import GROUPS, NAMES, XT, YT, X, Y, frame, values

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.plugin import UnlearnerSpec
from unshap_plugin.problem.access import ModelKind

SITES, SITES_TEST = np.where(X[:, 3] > 0, "u", "v"), np.where(XT[:, 3] > 0, "u", "v")
WORDS = ["price", "goal", "match", "bank", "team", "rate"]


def logistic():
    return LogisticRegression(tol=1e-10, max_iter=1000)


def texts(x, y):
    """A text a row, whose words tell its class most of the time."""
    rng = np.random.default_rng(3)
    chosen = [[WORDS[k] for k in rng.choice([1, 2, 4] if label else [0, 3, 5], 3)] + [WORDS[int(abs(row[0]) * 2) % 6]] for row, label in zip(x, y, strict=True)]  # fmt: skip
    return [" ".join(words) for words in chosen]


TEXT, TEXT_TEST = texts(X, Y), texts(XT, YT)


def with_site(x, sites):
    return frame(x).assign(site=sites)


TABLES = {
    "columns by name": (
        lambda: make_pipeline(ColumnTransformer([("scale", StandardScaler(), NAMES)]), logistic()),
        frame(X), frame(XT),
    ),
    "a column of text": (
        lambda: make_pipeline(ColumnTransformer([("scale", StandardScaler(), NAMES), ("hot", OneHotEncoder(handle_unknown="ignore"), ["site"])]), logistic()),
        with_site(X, SITES), with_site(XT, SITES_TEST),
    ),
    "a column of categories": (
        lambda: make_pipeline(ColumnTransformer([("hot", OneHotEncoder(handle_unknown="ignore"), ["site"])], remainder="passthrough"), logistic()),
        with_site(X, pd.Categorical(SITES)), with_site(XT, pd.Categorical(SITES_TEST)),
    ),
    "missing entries": (
        lambda: make_pipeline(SimpleImputer(), logistic()),
        frame(np.where(X > 1.5, np.nan, X)), frame(np.where(XT > 1.5, np.nan, XT)),
    ),
    "an index of its own": (
        lambda: make_pipeline(StandardScaler(), logistic()),
        frame(X).set_index(pd.Index(range(100, 130))), frame(XT).set_index(pd.Index(["x"] * 40)),
    ),
    "a table that the object changes": (
        lambda: make_pipeline(FunctionTransformer(_in_place), logistic()),
        frame(X), frame(XT),
    ),
}  # fmt: skip


def _in_place(table):
    table["e"] = table["a"] * table["b"]
    return table


@pytest.mark.slow
@pytest.mark.parametrize(("make", "x", "xt"), TABLES.values(), ids=TABLES)
def test_tables_are_those_of_brute_force(make, x, xt):
    def fresh(table):
        return table.copy()

    truth = refitted(
        lambda: _Copying(make()), (x, Y), (fresh(xt), YT), GROUPS, taken=lambda table, keep: table.iloc[np.flatnonzero(keep)].copy()
    )  # fmt: skip
    before = x.copy(), xt.copy()
    np.testing.assert_allclose(values(make().fit(fresh(x), Y), x, Y, xt, YT), truth, atol=1e-6)
    np.testing.assert_allclose(values(make().fit(fresh(x), Y), x, Y, xt[xt.columns[::-1]], YT), truth, atol=1e-6)
    for given, was in zip((x, xt), before, strict=True):
        pd.testing.assert_frame_equal(given, was)


class _Copying:
    """Hands copies to a model."""

    def __init__(self, model):
        self.model = model

    def fit(self, x, y):
        self.model.fit(x.copy(), y)
        self.classes_ = self.model.classes_
        return self

    def predict_proba(self, x):
        return self.model.predict_proba(x.copy())


DOCUMENTS = {
    "list": (TEXT, TEXT_TEST),
    "array": (np.array(TEXT), np.array(TEXT_TEST)),
    "array of objects": (np.array(TEXT, dtype=object), np.array(TEXT_TEST, dtype=object)),
    "series": (pd.Series(TEXT, index=range(50, 80)), pd.Series(TEXT_TEST)),
    "string series": (pd.Series(TEXT, dtype="string"), pd.Series(TEXT_TEST, dtype="string")),
}


@pytest.mark.parametrize(("x", "xt"), DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("labels", [[0, 1], ["sport", "economy"]])
def test_documents_are_those_of_brute_force(x, xt, labels):
    def make():
        return make_pipeline(TfidfVectorizer(), logistic())

    y, yt = np.array(labels)[Y], np.array(labels)[YT]
    truth = refitted(make, (np.array(TEXT), y), (TEXT_TEST, yt), GROUPS)
    np.testing.assert_allclose(values(make().fit(x, y), x, y, xt, yt), truth, atol=1e-6)


@pytest.mark.parametrize(
    "kind", [sparse.csr_matrix, sparse.csr_array, sparse.coo_matrix, sparse.csc_array, sparse.dok_matrix]
)
@pytest.mark.parametrize("make", [logistic, MultinomialNB, lambda: make_pipeline(logistic())], ids=["linear", "bayes", "pipeline"])  # fmt: skip
def test_sparse_rows_with_labels_of_text_are_those_of_brute_force(kind, make):
    vectorizer = TfidfVectorizer().fit(TEXT)
    x, xt = (kind(vectorizer.transform(one)) for one in (TEXT, TEXT_TEST))
    y, yt = np.where(Y, "sport", "economy"), np.where(YT, "sport", "economy")
    truth = refitted(make, (x.toarray(), y), (xt.toarray(), yt), GROUPS)
    found = values(make().fit(x, y), x, y, xt, yt, unlearner="retrain")
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_rows_may_be_dicts_and_lists_of_words():
    rows, test = ([dict(zip(NAMES, row, strict=True)) for row in x.tolist()] for x in (X, XT))

    def make():
        return make_pipeline(DictVectorizer(), logistic())

    truth = refitted(logistic, (X, Y), (XT, YT), GROUPS)
    np.testing.assert_allclose(values(make().fit(rows, Y), rows, Y, test, YT), truth, atol=1e-6)
    words, words_test = (
        [one.split()[: 2 + k % 3] for k, one in enumerate(documents)] for documents in (TEXT, TEXT_TEST)
    )

    def counting():
        return make_pipeline(TfidfVectorizer(analyzer=list), logistic())

    asked = np.array(words, dtype=object)
    truth = refitted(counting, (asked, Y), (words_test, YT), GROUPS)
    np.testing.assert_allclose(values(counting().fit(words, Y), words, Y, words_test, YT), truth, atol=1e-6)


def test_choices_scorers_and_regressions_take_tables_too():
    def make():
        return make_pipeline(
            ColumnTransformer([("hot", OneHotEncoder(), ["site"])], remainder="passthrough"), LinearSVC()
        )

    x, xt = with_site(X, SITES), with_site(XT, SITES_TEST)
    dense = [np.column_stack([sites == "u", sites == "v", numbers]).astype(float) for sites, numbers in ((SITES, X), (SITES_TEST, XT))]  # fmt: skip
    truth = values(make_pipeline(LinearSVC()).fit(dense[0], Y), dense[0], Y, dense[1], YT, metric="f1")
    np.testing.assert_allclose(values(make().fit(x, Y), x, Y, xt, YT, metric="f1"), truth, atol=1e-6)
    numbers = make_pipeline(ColumnTransformer([("scale", StandardScaler(), NAMES)]), Ridge()).fit(
        frame(X), X[:, 0] ** 2
    )
    straight = make_pipeline(StandardScaler(), Ridge()).fit(X, X[:, 0] ** 2)
    np.testing.assert_allclose(
        values(numbers, frame(X), X[:, 0] ** 2, frame(XT), XT[:, 0] ** 2),
        values(straight, X, X[:, 0] ** 2, XT, XT[:, 0] ** 2),
        atol=1e-9,
    )


def test_a_search_over_settings_is_refitted_as_a_whole():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 10]}, cv=2
    )
    groups = np.arange(30) % 2
    truth = refitted(lambda: search, (X, Y), (XT, YT), groups)
    found = values(GridSearchCV(search.estimator, search.param_grid, cv=2).fit(frame(X), Y), frame(X), Y, frame(XT), YT, groups)  # fmt: skip
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_functions_are_handed_rows_in_their_own_form():
    seen = []

    def watch(model, forget, retain):
        seen.append((forget[0], retain[0]))
        return model

    method = UnlearnerSpec.from_function(watch, source="a test", takes=ModelKind.FIT_PREDICT).factory()
    model = make_pipeline(StandardScaler(), logistic()).fit(frame(X), Y)
    problem = ValuationProblem(model, (frame(X), Y), (frame(XT), YT), groups=GROUPS)
    UnlearningGame(problem, method)(np.array([[True, False, True, True, True]]))
    [(forget, retain)] = seen
    pd.testing.assert_frame_equal(forget, frame(X)[GROUPS == 1])
    pd.testing.assert_frame_equal(retain, frame(X)[GROUPS != 1])


def test_reference_rows_of_tables_are_told_from_test_rows():
    def problem(reference):
        model = make_pipeline(StandardScaler(), logistic()).fit(frame(X), Y)
        return ValuationProblem(model, (frame(X), Y), (frame(XT), YT), groups=GROUPS, reference=reference)

    extra = np.random.default_rng(1).normal(size=(5, 4))
    with pytest.warns(UserWarning, match="3 of 8 reference rows are test or training rows too"):
        mixed = problem(pd.concat([frame(extra), frame(XT[:2]), frame(X[:1])]))
    assert len(mixed.reference[0]) == 5
    assert len(problem(frame(extra)).reference[0]) == 5


def test_what_an_object_cannot_take_is_said_in_its_words():
    pipe = make_pipeline(ColumnTransformer([("scale", StandardScaler(), NAMES)]), logistic()).fit(frame(X), Y)
    with pytest.raises(
        InvalidValueError,
        match="cannot be applied to the train rows .*only supported for dataframes.*in the form that it takes",
    ):
        values(pipe)  # fmt: skip
    assert len(values(pipe, frame(X), Y, frame(XT), YT)) == 5
    with pytest.raises(InvalidTypeError, match="a dict or tuple of tensors"):
        values(pipe, {"a": X[:, 0]}, Y, {"a": XT[:, 0]}, YT)
    with pytest.raises(InvalidValueError, match="train x is empty"):
        values(pipe, frame(X).iloc[:0], Y)
    with pytest.raises(InvalidValueError, match="train has 29 rows of x but 30 labels"):
        values(pipe, frame(X).iloc[:29], Y)


def test_a_game_over_text_is_one_function_of_the_coalition():
    model = make_pipeline(TfidfVectorizer(), logistic()).fit(TEXT, Y)
    problem = ValuationProblem(model, (TEXT, Y), (TEXT_TEST, YT), groups=GROUPS)
    matrix = np.random.default_rng(0).random((6, 5)) < 0.5
    np.testing.assert_array_equal(
        UnlearningGame(problem, chunk=1)(matrix[::-1]), UnlearningGame(problem, chunk=4)(matrix)[::-1]
    )


def test_text_in_any_container_is_text():
    texts, more = [f"{a} {b}" for a in WORDS for b in WORDS[:5]], [f"{a} {b}" for a in WORDS[:5] for b in WORDS]
    y, y_test = [i % 2 for i in range(30)], [i % 3 % 2 for i in range(30)]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, y)
    expected = values(model, texts, y, more, y_test)
    for form in (tuple, pd.Index, pd.Categorical, pd.Series, np.array, lambda one: pd.array(one, dtype="string")):
        np.testing.assert_allclose(values(model, form(texts), y, form(more), y_test), expected, atol=1e-12)


def test_a_recipe_of_an_object_is_refused_and_leaving_it_out_helps():
    model = MultinomialNB().fit(abs(X), Y)
    with pytest.raises(
        InvalidValueError, match="fit was given, but MultinomialNB is retrained by its own fit: leave it"
    ):
        ValuationProblem(model, (abs(X), Y), (abs(XT), YT), fit={"optimizer": "sgd", "lr": 0.1, "epochs": 2})
    ValuationProblem(model, (abs(X), Y), (abs(XT), YT))
