"""What errors about labels and answers of objects advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from advised import NAMES, NAMES_T, THREE, THREE_T, TREE, XT, YT, Own, X, Y, plausible, same, tree, values
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeRegressor

FOLDERS = [f"unshap_plugin/model/{name}.py" for name in ("classes", "fit_predict")]


def own(base=Own, fitted=(X, Y), **members):
    return type("Own", (base,), {name: staticmethod(member) for name, member in members.items()})().fit(*fitted)


class Probable(Own):
    """One whose ``predict_proba`` answers otherwise."""

    proba_by = staticmethod(lambda p: p)

    def predict_proba(self, x):
        return self.proba_by(self.tree.predict_proba(x))


PROBABLE = values(Probable().fit(X, Y))


def logs(p):
    return np.log(p + 1e-300)


def softmax(scores):
    return torch.as_tensor(scores).softmax(dim=1).numpy()


class Renaming(Probable):
    """One whose ``fit`` names classes as it likes."""

    names = staticmethod(lambda labels: labels)

    def fit(self, x, y):
        super().fit(x, y)
        self.classes_ = self.names(self.classes_) if len(x) < 30 else self.classes_
        return self


def with_neighbours(y, yt, **kwargs):
    return values(KNeighborsClassifier(3).fit(X, y), X, y, XT, yt, **kwargs)


def one_hot(y):
    return np.eye(3)[y]


MISSING = np.where(np.arange(30) == 4, None, NAMES)
SEEN, SEEN_T = THREE < 2, THREE_T < 2


BOTH = X[SEEN], THREE[SEEN]  # rows of two of three classes
BOTH_T = XT[SEEN_T], THREE_T[SEEN_T]


LABELS = [
    Case(
        "one-hot labels of a classifier",
        lambda: values(KNeighborsClassifier(3).fit(X, THREE), X, one_hot(THREE), XT, THREE_T),
        "convert it, one-hot rows to the labels of their largest entries",
        (lambda: same(with_neighbours(one_hot(THREE).argmax(1), THREE_T), with_neighbours(THREE, THREE_T)),),
    ),
    Case(
        "a label that is missing",
        lambda: values(KNeighborsClassifier(3).fit(X, NAMES), X, MISSING, XT, NAMES_T),
        "fill it in, or drop the row",
        (
            lambda: same(
                with_neighbours(np.array([one or "no" for one in MISSING]), NAMES_T),
                with_neighbours(np.where(np.arange(30) == 4, "no", NAMES), NAMES_T),
            ),
            lambda: plausible(
                values(
                    KNeighborsClassifier(3).fit(np.delete(X, 4, 0), np.delete(NAMES, 4)),
                    np.delete(X, 4, 0),
                    np.delete(MISSING, 4),
                    XT,
                    NAMES_T,
                )
            ),
        ),
    ),
    Case(
        "a class that the model was not fitted on",
        lambda: tree(X, THREE, *BOTH_T, fitted=BOTH),
        "drop those rows, or fit it on rows of that class",
        (lambda: plausible(tree(*BOTH, *BOTH_T)), lambda: plausible(tree(X, THREE, *BOTH_T))),
    ),
    Case(
        "a test class that the model was not fitted on",
        lambda: tree(*BOTH, XT, THREE_T),
        "drop those rows, or fit it on rows of that class",
        (lambda: plausible(tree(*BOTH, *BOTH_T)), lambda: plausible(tree(X, THREE, XT, THREE_T))),
    ),
    Case(
        "labels of another type",
        lambda: values(KNeighborsClassifier(3).fit(X, Y), X, Y.astype(str), XT, YT),
        "convert labels to the type of these.",
        (lambda: same(with_neighbours(Y.astype(str).astype(int), YT), with_neighbours(Y, YT)),),
    ),
    Case(
        "a prediction of no class",
        lambda: values(own(predict_by=lambda answers: answers + 5)),
        "let its predict return one of these for each row",
        (lambda: same(values(own(predict_by=lambda answers: answers + 5 - 5)), TREE),),
    ),
    Case(
        "a prediction of scores",
        lambda: values(own(predict_by=lambda answers: np.eye(2)[answers])),
        "let its predict return one of these for each row",
        (lambda: same(values(own(predict_by=lambda answers: np.eye(2)[answers].argmax(1))), TREE),),
    ),
    Case(
        "classes that a refit renames",
        lambda: values(own(Renaming, names=lambda labels: labels + 5)),
        "let its fit set classes_ to the labels that it is given, one for each column of predict_proba",
        (lambda: same(values(own(Renaming)), PROBABLE),),
    ),
]


class Several(Own):
    """A classifier of several targets that does not say so."""

    def fit(self, x, y):
        self.forest = RandomForestClassifier(3, random_state=0).fit(x, np.stack([y, y], axis=1))
        return self

    def predict(self, x):
        return self.forest.predict(x)[:, 0]

    def predict_proba(self, x):
        return self.forest.predict_proba(x)


class Text(Own):
    """A model that is no classifier, and answers text."""

    def fit(self, x, y):
        super().fit(x, y)
        del self.classes_
        return self


def text(answers):
    return np.array(["no", "yes"])[answers]


def numbers(y=X[:, 0]):
    return values(DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, y), X, y, XT, XT[:, 0])


class Regressor:
    """A tree whose answers are not those of its rows, until it is mended."""

    predict_by = staticmethod(lambda answers: answers)

    def fit(self, x, y):
        self.tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(x, y)
        return self

    def predict(self, x):
        return self.predict_by(self.tree.predict(x))


def regressor(**members):
    return values(own(Regressor, (X, X[:, 0]), **members), X, X[:, 0], XT, XT[:, 0])


ANSWERS = [
    Case(
        "several targets",
        lambda: values(Several().fit(X, Y)),
        "fit one model per target",
        (lambda: plausible(values(RandomForestClassifier(3, random_state=0).fit(X, Y))),),
    ),
    Case(
        "logarithms for probabilities",
        lambda: values(own(Probable, proba_by=logs)),
        "return shares of one from it, such as the softmax of scores, or the exponential of logarithms",
        (
            lambda: same(values(own(Probable, proba_by=lambda p: softmax(logs(p)))), PROBABLE),
            lambda: same(values(own(Probable, proba_by=lambda p: np.exp(logs(p)))), PROBABLE),
        ),
    ),
    Case(
        "percent for probabilities",
        lambda: values(own(Probable, proba_by=lambda p: 100 * p)),
        "return shares of one from it",
        (lambda: same(values(own(Probable, proba_by=lambda p: 100 * p / 100)), PROBABLE),),
    ),
    Case(
        "text for numbers",
        lambda: values(own(Text, predict_by=text)),
        "but y holds numbers: let its predict return numbers, or pass the labels that it predicts as y",
        (
            lambda: plausible(values(own(Text))),
            lambda: same(values(own(Text, (X, NAMES)), X, NAMES, XT, NAMES_T), TREE),
        ),
    ),
    Case(
        "answers of other rows",
        lambda: regressor(predict_by=lambda answers: answers[:3]),
        "check its predict",
        (lambda: same(regressor(), numbers()),),
    ),
    Case(
        "a column for each class",
        lambda: values(own(Probable, proba_by=lambda p: p[:, 1])),
        "one column for each class, in the order of classes_",
        (lambda: same(values(own(Probable, proba_by=lambda p: np.stack([p[:, 0], p[:, 1]], axis=1))), PROBABLE),),
    ),
]

CASES = [*LABELS, *ANSWERS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
