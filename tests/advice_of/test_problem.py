"""What errors about the data and the parts of a problem advise, followed to the letter."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from advice import ROOT, Case, check, without_a_case
from advised import NAMES, NAMES_T, THREE, THREE_T, XT, YT, X, Y, plausible, same, values
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from unshap_plugin import ValuationProblem, compute_artifacts
from unshap_plugin.metrics import Metric

ELSEWHERE = ("artifacts", "evidence", "lending", "loaders", "players")  # these have files of their own
HERE = [path.relative_to(ROOT) for path in (ROOT / "unshap_plugin/problem").glob("*.py")]
FOLDERS = [str(path) for path in HERE if path.stem not in ELSEWHERE]

TX, TY, TXT, TYT = torch.as_tensor(X), torch.as_tensor(Y), torch.as_tensor(XT), torch.as_tensor(YT)


def linear(k=2, *ends):
    torch.manual_seed(0)
    layer = nn.Linear(3, k).double()
    return nn.Sequential(layer, *ends) if ends else layer


def likelihood(model, x=XT, y=YT):
    with torch.no_grad():
        return -float(F.cross_entropy(model(torch.as_tensor(x)), torch.as_tensor(y)))


GIVEN = linear()(TXT).detach()  # what the model answers


def problem(model=None, train=(X, Y), test=(XT, YT), **kwargs):
    return ValuationProblem(linear() if model is None else model, train, test, **kwargs)


def utility(expected, *args, **kwargs):
    found = problem(*args, **kwargs).given_utility
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def as_plain(train=None, test=None, **kwargs):
    """Fail unless that is the problem of the arrays."""
    kwargs["train"], kwargs["test"] = (X, Y) if train is None else train, (XT, YT) if test is None else test
    found = problem(**kwargs)
    torch.testing.assert_close(found.x, TX)
    torch.testing.assert_close(found.y, TY)
    np.testing.assert_allclose(found.given_utility, likelihood(linear()), rtol=1e-9)


class Tables(nn.Module):
    """An embedding and a head."""

    def __init__(self, max_norm):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head = nn.Embedding(4, 3, max_norm=max_norm).double(), nn.Linear(3, 2).double()

    def forward(self, x):
        return self.head(self.table(x).sum(dim=1))


class Counting(nn.Linear):
    """A layer that counts its calls in a buffer, until it is mended."""

    mended = False

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(3, 2, dtype=torch.float64)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        if not self.mended:
            self.calls.add_(1)
        return super().forward(x)


TOKENS, TOKENS_T = (X[:, :2] > 0).astype(int), (XT[:, :2] > 0).astype(int)


def normalised():
    """Normalise the weights as max_norm did, and set it to None."""
    model = Tables(0.5)
    model(torch.arange(4)[:, None])
    model.table.max_norm = None
    utility(likelihood(model, TOKENS_T), model, (TOKENS, Y), (TOKENS_T, YT))


def mended():
    model = Counting()
    model.mended = True
    utility(likelihood(model), model)


def noisy(outputs, targets):
    return float(outputs[:, 0].mean() + torch.rand(()))


def seeded(outputs, targets):
    return float(outputs[:, 0].mean() + torch.rand((), generator=torch.Generator().manual_seed(3)))


def changing(outputs, targets):
    return float(outputs.sub_(1).mean())


def copying(outputs, targets):
    return changing(outputs.clone(), targets)


def hits(outputs, targets):
    return float((outputs.argmax(dim=1) == targets).double().mean())


HITS = float((GIVEN.argmax(dim=1) == TYT).double().mean())


TWO, TWO_T = ((x[y < 2], y[y < 2]) for x, y in ((X, THREE), (XT, THREE_T)))


class Locked(GaussianNB):
    """A classifier with something that cannot be copied."""

    def fit(self, x, y):
        self.lock_ = threading.Lock()
        return super().fit(x, y)


class LeftOut(Locked):
    """One that leaves it out of copies."""

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "lock_"}


def bayes(**kwargs):
    return values(GaussianNB().fit(X, Y), **kwargs)


LOGISTIC = LogisticRegression().fit(X, Y)

CHECKS = [
    Case(
        "more rows than there are",
        lambda: problem(trained_rows=100),
        "leave it out, or pass access='partial' where the model was trained on more",
        (
            as_plain,
            lambda: plausible(
                values(linear(), unlearner="anchored", access="partial", reference="test", trained_rows=100)
            ),
        ),
    ),
    Case(
        "fewer rows than there are",
        lambda: problem(trained_rows=3),
        "leave it out, or give the number of rows that the model was trained on",
        (as_plain, lambda: as_plain(trained_rows=30)),
    ),
    Case(
        "a class that is tested and not trained",
        lambda: problem(linear(3), TWO, (XT, THREE_T)),
        "drop those test rows or add training rows of that class; or, where y are numbers and no classes, say "
        "loss='mse'.",
        (
            lambda: utility(likelihood(linear(3), *TWO_T), linear(3), TWO, TWO_T),
            lambda: utility(likelihood(linear(3), XT, THREE_T), linear(3), (X, THREE), (XT, THREE_T)),
        ),
    ),
    Case(
        "a number that is tested and not trained",
        lambda: problem(linear(1), (X, np.arange(30)), (XT, np.arange(20, 40))),
        "or, where y are numbers and no classes, say loss='mse'.",
        (
            lambda: utility(
                -float((linear(1)(TXT).detach()[:, 0] - torch.arange(20, 40)).square().mean()),
                linear(1),
                (X, np.arange(30)),
                (XT, np.arange(20, 40)),
                loss="mse",
            ),
        ),
    ),
    Case(
        "a class of an object that is tested and not trained",
        lambda: problem(GaussianNB().fit(X, THREE), TWO, (XT, THREE_T)),
        "drop those test rows or add training rows of that class.",
        (
            lambda: plausible(values(GaussianNB().fit(*TWO), *TWO, *TWO_T)),
            lambda: plausible(values(GaussianNB().fit(X, THREE), X, THREE, XT, THREE_T)),
        ),
    ),
    Case(
        "no labels",
        lambda: problem(train=(X, None)),
        "train y is None, but labels are needed",
        (as_plain,),
    ),
    Case(
        "labels of several lengths",
        lambda: problem(LOGISTIC, (X, [[1, 2], [3]] * 15)),
        "one label per row is needed",
        (as_plain,),
    ),
    Case(
        "an object that cannot be copied",
        lambda: values(Locked().fit(X, Y)),
        "drop what is not part of the model, such as locks and open files, or leave it out in its __getstate__",
        (
            lambda: same(values(GaussianNB().fit(X, Y)), bayes()),
            lambda: same(values(LeftOut().fit(X, Y)), bayes()),
        ),
    ),
    Case(
        "a single class",
        lambda: problem(train=(X[Y == 1], Y[Y == 1])),
        "at least two classes are needed to learn anything",
        (as_plain,),
    ),
    Case(
        "a single class of a logistic model",
        lambda: problem(linear(1), (X[Y == 1], Y[Y == 1]), loss="binary_cross_entropy_with_logits"),
        "at least two classes are needed to learn anything",
        (lambda: plausible(values(linear(1), loss="binary_cross_entropy_with_logits", unlearner="newton")),),
    ),
    Case(
        "rows of another width",
        lambda: problem(train=(X[:, :2], Y)),
        "pass a trained model and the data in the form that it takes",
        (as_plain,),
    ),
    Case(
        "an object that is not fitted",
        lambda: problem(DecisionTreeClassifier()),
        "pass a trained model",
        (lambda: plausible(values(DecisionTreeClassifier(random_state=0).fit(X, Y))),),
    ),
    Case(
        "an embedding that is normalised again and again",
        lambda: problem(Tables(0.5), (TOKENS, Y), (TOKENS_T, YT)),
        "(an embedding with max_norm: set that to None once it is trained, of weights that were normalised)",
        (normalised,),
    ),
    Case("a layer that counts", lambda: problem(Counting()), "leave it alone there", (mended,)),
    Case(
        "a metric of another number of classes",
        lambda: problem(metric=lambda outputs, targets: float(outputs[:, 2].mean())),
        "use a metric that matches the outputs",
        (lambda: utility(float(GIVEN[:, 1].mean()), metric=lambda outputs, _: float(outputs[:, 1].mean())),),
    ),
    Case(
        "a metric that draws",
        lambda: problem(metric=noisy),
        "draw from a generator that every call seeds alike",
        (lambda: utility(seeded(GIVEN, TYT), metric=seeded),),
    ),
    Case(
        "a metric that changes outputs",
        lambda: problem(metric=changing),
        "work on copies",
        (lambda: utility(changing(GIVEN, TYT), metric=lambda outputs, y: changing(outputs.clone(), y)),),
    ),
    Case(
        "a score that is no tensor",
        lambda: problem(metric=Metric("own", lambda outputs, targets: 1.0)),
        "one row for each model",
        (lambda: utility(HITS, metric=hits),),
    ),
    Case(
        "a single row",
        lambda: problem(train=(X[:1], Y[:1])),
        "at least two rows are needed",
        (as_plain,),
    ),
    Case(
        "reference rows that are all test rows",
        lambda: problem(reference=XT),
        "give other rows, or reference='test' if the test set is to be the reference set as well",
        (
            lambda: plausible(values(linear(), unlearner="random_label", reference=XT + 1)),
            lambda: plausible(values(linear(), unlearner="random_label", reference="test")),
        ),
    ),
    Case(
        "reference rows of another shape",
        lambda: problem(reference=XT[:4, None] + 1),
        "give rows as those that the model was trained on, [rows, ...]",
        (lambda: plausible(values(linear(), unlearner="random_label", reference=XT[:4] + 1)),),
    ),
    Case(
        "artefacts of an object",
        lambda: problem(DecisionTreeClassifier().fit(X, Y), artifacts="nowhere"),
        "leave them out",
        (lambda: plausible(values(DecisionTreeClassifier(random_state=0).fit(X, Y))),),
    ),
]


STORED = compute_artifacts(problem(LOGISTIC))


def logistic(rows=30, **kwargs):
    return values(LOGISTIC, X[:rows], Y[:rows], groups=np.resize(list("abc"), rows), **kwargs)


MIXED = np.array([int(one) if one < 2 else "two" for one in THREE], dtype=object)
MIXED_T = np.array([int(one) if one < 2 else "two" for one in THREE_T], dtype=object)


class Unnamed:
    """A classifier that does not say its classes, nor that it is one."""

    def fit(self, x, y):
        self.tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y.astype(str))
        self.kind = y.dtype
        return self

    def predict(self, x):
        return self.tree.predict(x).astype(self.kind)


class Tagged(Unnamed, ClassifierMixin, BaseEstimator):
    """One that says so."""


def unnamed(y, yt, kind=Unnamed):
    return values(kind().fit(X, y), X, y, XT, yt)


ABC, ABC_T = np.array(list("abc"))[THREE], np.array(list("abc"))[THREE_T]
YES, YES_T = (NAMES == "yes").astype(int), (NAMES_T == "yes").astype(int)


def shown(valued):
    plausible(valued())


MODELS = [
    Case(
        "text for fewer outputs than classes",
        lambda: problem(linear(2), (X, ABC), (XT, ABC_T)),
        "use an output for each.",
        (lambda: utility(likelihood(linear(3), XT, THREE_T), linear(3), (X, ABC), (XT, ABC_T)),),
    ),
    Case(
        "text for more outputs than classes",
        lambda: problem(linear(3), (X, NAMES), (XT, NAMES_T)),
        "encode them as the numbers of the outputs.",
        (lambda: utility(likelihood(linear(3)), linear(3), (X, YES), (XT, YES_T)),),
    ),
    Case(
        "text for one output",
        lambda: problem(linear(1), (X, NAMES), (XT, NAMES_T), loss="binary_cross_entropy_with_logits"),
        "encode them as 0 and 1.",
        (
            lambda: plausible(
                values(
                    linear(1),
                    X,
                    YES,
                    XT,
                    YES_T,
                    loss="binary_cross_entropy_with_logits",
                )
            ),
        ),
    ),
    Case(
        "labels in a generator",
        lambda: problem(LOGISTIC, (X, iter(Y))),
        "one label per row is needed",
        (lambda: plausible(logistic()),),
    ),
    *(
        Case(f"{name} of {what}", partial(valued, **{name: given}), "leave it out", (partial(shown, valued),))
        for what, valued in (("a linear model", logistic), ("an object", bayes))
        for name, given in {"fit": {"epochs": 3}, "outputs": "logits"}.items()
    ),
    Case("a loss of a linear model", lambda: logistic(loss="mse"), "leave it out", (lambda: plausible(logistic()),)),
    Case("parameters of an object", lambda: bayes(parameters="head"), "leave it out", (lambda: plausible(bayes()),)),
    Case(
        "artefacts of more rows than train has",
        lambda: logistic(artifacts=STORED, rows=20),
        "pass access='partial' where train does not hold everything that the model was trained on",
        (lambda: plausible(logistic(artifacts=STORED, rows=20, access="partial")),),
    ),
    Case(
        "labels of several types",
        lambda: unnamed(MIXED, MIXED_T),
        "make them all text.",
        (lambda: same(unnamed(MIXED.astype(str), MIXED_T.astype(str)), unnamed(ABC, ABC_T)),),
    ),
    Case(
        "labels of several types of a classifier",
        lambda: unnamed(MIXED, MIXED_T, Tagged),
        "make them all text, or all numbers.",
        (
            lambda: same(unnamed(MIXED.astype(str), MIXED_T.astype(str), Tagged), unnamed(ABC, ABC_T, Tagged)),
            lambda: same(unnamed(THREE, THREE_T, Tagged), unnamed(ABC, ABC_T, Tagged)),
        ),
    ),
    Case(
        "a model of several targets",
        lambda: values(RandomForestClassifier(3).fit(X, np.stack([Y, THREE], axis=1))),
        "fit one model for each",
        (
            lambda: plausible(values(RandomForestClassifier(3, random_state=0).fit(X, Y))),
            lambda: plausible(values(RandomForestClassifier(3, random_state=0).fit(X, THREE), X, THREE, XT, THREE_T)),
        ),
    ),
]


class Nearest:
    """A classifier that clusters: the label of most rows of the nearest cluster."""

    def fit(self, x, y):
        self.clusters = KMeans(4, n_init=1, random_state=0).fit(x[:, :1])
        self.labels = np.array([round(y[self.clusters.labels_ == k].mean()) for k in range(4)])
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return self.labels[self.clusters.predict(x[:, :1])]


class Unusual:
    """A regression that detects outliers: the mean of the labels of rows that are none."""

    def fit(self, x, y):
        self.detector = IsolationForest(n_estimators=5, random_state=0).fit(x)
        self.mean = y[self.detector.predict(x) > 0].mean() if len(y) else 0.0
        return self

    def predict(self, x):
        return np.full(len(x), self.mean)


UNSUPERVISED = [
    Case(
        f"what takes no notice of labels: {type(model).__name__}",
        lambda model=model: values(model.fit(X)),
        "wrap it in an object whose fit(x, y) and predict(x) are about y",
        (lambda wrapped=wrapped: plausible(values(wrapped.fit(X, Y))),),
    )
    for model, wrapped in ((KMeans(2, n_init=1), Nearest()), (IsolationForest(n_estimators=5), Unusual()))
]

CASES = [*CHECKS, *MODELS, *UNSUPERVISED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
