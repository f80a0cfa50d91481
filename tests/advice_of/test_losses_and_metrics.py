"""What errors of losses and metrics advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from advice import Case, check, without_a_case
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import accuracy_score, f1_score, make_scorer, mean_squared_error, r2_score, roc_auc_score
from sklearn.svm import LinearSVC
from torch import nn

from unshap_plugin import ValuationProblem
from unshap_plugin.metrics import Metric, resolve_metric

FOLDERS = ["unshap_plugin/losses.py", "unshap_plugin/metrics.py", "unshap_plugin/scoring"]

RNG = np.random.default_rng(0)
X, XT = torch.as_tensor(RNG.normal(size=(24, 3))), torch.as_tensor(RNG.normal(size=(16, 3)))
Y, YT = (X[:, 0] > 0).long(), (XT[:, 0] > 0).long()
COUNTS, COUNTS_T = (4 + X[:, 0]).round().long().clamp(2, 5), (4 + XT[:, 0]).round().long().clamp(2, 5)
SHARES, SHARES_T = X.sigmoid()[:, 0], XT.sigmoid()[:, 0]


def linear(k=2, *ends):
    torch.manual_seed(0)
    layer = nn.Linear(3, k).double()
    return nn.Sequential(layer, *ends) if ends else layer


def problem(model, y=Y, yt=YT, **kwargs):
    return ValuationProblem(model, (X, y), (XT, yt), **kwargs)


def utility(expected, model, *data, **kwargs):
    """Fail unless that is the utility of the given model, as it is reckoned otherwise."""
    np.testing.assert_allclose(problem(model, *data, **kwargs).given_utility, float(expected), rtol=1e-6)


def answers(model):
    with torch.no_grad():
        return model(XT)


def likelihood(model, y=YT):
    return -F.cross_entropy(answers(model), y)


def logistic(model, y=YT):
    return -F.binary_cross_entropy_with_logits(answers(model).reshape(len(y), -1)[:, 0], y.double())


def squared(model, y):
    return -F.mse_loss(answers(model).reshape(y.shape), y.double())


def absolute(outputs, targets):
    return (outputs.reshape(len(outputs), -1)[:, 0] - targets).abs()


def root(outputs, targets):
    """A loss of integer targets alone."""
    assert not targets.is_floating_point(), "integers are needed"
    return absolute(outputs, targets).sqrt()


class Mean(nn.Linear):
    """Its forward forgets the rows, until it is mended."""

    mended = False

    def forward(self, x):
        outputs = super().forward(x)
        return outputs if self.mended else outputs.mean(dim=0, keepdim=True)


def mended():
    model = Mean(3, 2).double()
    model.mended = True
    utility(likelihood(model), model)


LOSSES = [
    Case(
        "a loss that is a number",
        lambda: problem(linear(), loss=3),
        "a name (cross_entropy, mse, binary_cross_entropy_with_logits, binary_cross_entropy, nll_loss) or a callable",
        (
            lambda: utility(likelihood(linear()), linear(), loss="cross_entropy"),
            lambda: utility(-absolute(answers(linear()), YT).mean(), linear(), loss=absolute),
        ),
    ),
    Case("one output of all rows", lambda: problem(Mean(3, 2).double()), "check its forward", (mended,)),
    Case(
        "a vector of classes",
        lambda: problem(linear(1, nn.Flatten(0))),
        "use a model with one output per class, or another loss, such as 'mse' for numbers",
        (
            lambda: utility(likelihood(linear()), linear()),
            lambda: utility(logistic(linear(1)), linear(1, nn.Flatten(0)), loss="binary_cross_entropy_with_logits"),
        ),
    ),
    Case(
        "a vector of numbers",
        lambda: problem(linear(1, nn.Flatten(0)), SHARES, SHARES_T),
        "such as 'mse' for numbers",
        (lambda: utility(squared(linear(1), SHARES_T), linear(1, nn.Flatten(0)), SHARES, SHARES_T, loss="mse"),),
    ),
    Case(
        "class numbers that are floating",
        lambda: problem(linear(), Y.double(), YT.double()),
        "convert them to integers.",
        (lambda: utility(likelihood(linear()), linear(), Y.double().long(), YT.double().long()),),
    ),
    Case(
        "floating labels of one output",
        lambda: problem(linear(1), Y.double(), YT.double()),
        "use loss='binary_cross_entropy_with_logits'.",
        (
            lambda: utility(
                logistic(linear(1)), linear(1), Y.double(), YT.double(), loss="binary_cross_entropy_with_logits"
            ),
        ),
    ),
    Case(
        "numbers of one output",
        lambda: problem(linear(1), SHARES, SHARES_T),
        "use loss='mse'.",
        (lambda: utility(squared(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, loss="mse"),),
    ),
    Case(
        "numbers of two outputs",
        lambda: problem(linear(2), SHARES, SHARES_T),
        "use a model with one output, and loss='mse'.",
        (lambda: utility(squared(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, loss="mse"),),
    ),
    Case(
        "labels beyond the outputs",
        lambda: problem(linear(3), 2 * Y + 1, 2 * YT + 1),
        "number the classes from 0 to 2, or use 4 outputs.",
        (
            lambda: utility(likelihood(linear(3)), linear(3)),
            lambda: utility(likelihood(linear(4), 2 * YT + 1), linear(4), 2 * Y + 1, 2 * YT + 1),
        ),
    ),
    Case(
        "labels -1 and 1",
        lambda: problem(linear(2), 2 * Y - 1, 2 * YT - 1),
        "number the classes from 0 to 1.",
        (lambda: utility(likelihood(linear()), linear(), (2 * Y - 1).clamp(min=0), (2 * YT - 1).clamp(min=0)),),
    ),
    Case(
        "labels of one output",
        lambda: problem(linear(1)),
        "use an output for each class, or loss='binary_cross_entropy_with_logits', or loss='mse' for numbers.",
        (
            lambda: utility(likelihood(linear()), linear()),
            lambda: utility(logistic(linear(1)), linear(1), loss="binary_cross_entropy_with_logits"),
            lambda: utility(squared(linear(1), YT), linear(1), loss="mse"),
        ),
    ),
    Case(
        "counts of one output",
        lambda: problem(linear(1), COUNTS, COUNTS_T),
        "or loss='binary_cross_entropy_with_logits' for two, numbered 0 and 1, or loss='mse' for numbers.",
        (
            lambda: utility(likelihood(linear(6), COUNTS_T), linear(6), COUNTS, COUNTS_T),
            lambda: utility(
                logistic(linear(1), COUNTS_T > 3),
                linear(1),
                (COUNTS > 3).long(),
                (COUNTS_T > 3).long(),
                loss="binary_cross_entropy_with_logits",
            ),
            lambda: utility(squared(linear(1), COUNTS_T), linear(1), COUNTS, COUNTS_T, loss="mse"),
        ),
    ),
    Case(
        "two outputs for one number",
        lambda: problem(linear(2), loss="mse"),
        "the model must return [rows, k] for targets [rows, k] (or [rows] where k is 1)",
        (
            lambda: utility(squared(linear(2), F.one_hot(YT)), linear(2), F.one_hot(Y), F.one_hot(YT), loss="mse"),
            lambda: utility(squared(linear(1), YT), linear(1, nn.Flatten(0)), loss="mse"),
        ),
    ),
    Case(
        "labels 1 and 2 of a logistic model",
        lambda: problem(linear(1), Y + 1, YT + 1, loss="binary_cross_entropy_with_logits"),
        "encode the classes as 0 and 1.",
        (lambda: utility(logistic(linear(1)), linear(1), loss="binary_cross_entropy_with_logits"),),
    ),
    Case(
        "several classes of a logistic model",
        lambda: problem(linear(1), COUNTS, COUNTS_T, loss="binary_cross_entropy_with_logits"),
        "as 0 and 1, of which there may be two; use loss='cross_entropy' and an output for each where there are more.",
        (lambda: utility(likelihood(linear(6), COUNTS_T), linear(6), COUNTS, COUNTS_T, loss="cross_entropy"),),
    ),
    Case(
        "logits taken for probabilities",
        lambda: problem(linear(1), loss="binary_cross_entropy"),
        "end the model in a sigmoid if it was trained so, or use loss='binary_cross_entropy_with_logits'",
        (
            lambda: utility(logistic(linear(1)), linear(1, nn.Sigmoid()), loss="binary_cross_entropy"),
            lambda: utility(logistic(linear(1)), linear(1), loss="binary_cross_entropy_with_logits"),
        ),
    ),
    Case(
        "logits taken for log-probabilities",
        lambda: problem(linear(), loss="nll_loss"),
        "end the model in a log-softmax if it was trained so, or use loss='cross_entropy'",
        (
            lambda: utility(likelihood(linear()), linear(2, nn.LogSoftmax(dim=1)), loss="nll_loss"),
            lambda: utility(likelihood(linear()), linear(), loss="cross_entropy"),
        ),
    ),
    Case(
        "a loss of other targets",
        lambda: problem(linear(1), SHARES, SHARES_T, loss=root),
        "use a loss that matches the model's outputs",
        (lambda: utility(squared(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, loss="mse"),),
    ),
    Case(
        "a loss that averages rows",
        lambda: problem(linear(), loss=F.cross_entropy),
        "one number per row is needed (reduction='none', averaged over the outputs of a row)",
        (
            lambda: utility(
                likelihood(linear()), linear(), loss=lambda outputs, y: F.cross_entropy(outputs, y, reduction="none")
            ),
            lambda: utility(
                squared(linear(2), F.one_hot(YT)),
                linear(2),
                F.one_hot(Y).double(),
                F.one_hot(YT).double(),
                loss=lambda outputs, y: F.mse_loss(outputs, y, reduction="none").mean(dim=1),
            ),
        ),
    ),
]

SOFT = dict(loss="binary_cross_entropy_with_logits")
REGRESSION = dict(loss="mse")


def r2(model, y):
    return r2_score(y, answers(model)[:, 0])


def pair(y):
    return torch.stack([y, y.square()], dim=1)


def two_outputs(metric, expected):
    utility(expected, linear(2), pair(SHARES), pair(SHARES_T), metric=metric, **REGRESSION)


def own_likelihood(outputs, targets):
    return -float(F.binary_cross_entropy(outputs[:, 0], targets.double()))


def hits(outputs, targets):
    return float(((outputs[:, 0] > 0) == (targets > 0)).double().mean())


SURE = linear(1, nn.Sigmoid(), nn.Hardtanh(0.0, 1.0))  # between 0 and 1, and autograd does not tell why
HALF = accuracy_score(YT, answers(SURE)[:, 0] > 0.5)

METRICS = [
    Case(
        "a variance of equal targets",
        lambda: problem(linear(1), SHARES, torch.full_like(SHARES_T, 0.5), metric="r2", **REGRESSION),
        "use 'neg_mean_squared_error'",
        (
            lambda: utility(
                -mean_squared_error(np.full(16, 0.5), answers(linear(1))),
                linear(1),
                SHARES,
                torch.full_like(SHARES_T, 0.5),
                metric="neg_mean_squared_error",
                **REGRESSION,
            ),
        ),
    ),
    Case(
        "the accuracy of a regression",
        lambda: problem(linear(1), SHARES, SHARES_T, metric="accuracy", **REGRESSION),
        "use 'r2' or 'neg_mean_squared_error' for regression, or 'neg_loss'",
        (
            lambda: utility(r2(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, metric="r2", **REGRESSION),
            lambda: utility(
                squared(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, metric="neg_mean_squared_error", **REGRESSION
            ),
        ),
    ),
    Case(
        "shares instead of labels",
        lambda: problem(linear(1), SHARES, SHARES_T, **SOFT),
        "or 'neg_loss'.",
        (lambda: utility(logistic(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, metric="neg_loss", **SOFT),),
    ),
    Case(
        "the accuracy of several numbers",
        lambda: two_outputs("accuracy", 0.0),
        "use a metric that matches them, such as 'neg_loss'",
        (
            lambda: two_outputs("neg_loss", squared(linear(2), pair(SHARES_T))),
            lambda: two_outputs("neg_mean_squared_error", squared(linear(2), pair(SHARES_T))),
        ),
    ),
    Case(
        "a metric that is a number",
        lambda: problem(linear(), metric=3),
        "a name (log_likelihood, accuracy, neg_mean_squared_error, r2, neg_loss), a callable (outputs, targets) -> "
        "number, a scorer of scikit-learn, or a dict of these is needed",
        (
            lambda: utility(likelihood(linear()), linear(), metric="log_likelihood"),
            lambda: utility(hits(answers(linear()), YT), linear(), metric=hits),
            lambda: utility(f1_score(YT, answers(linear()).argmax(dim=1)), linear(), metric=make_scorer(f1_score)),
            lambda: utility(hits(answers(linear()), YT), linear(), metric={"hits": hits}),
        ),
    ),
    Case(
        "the likelihood of values",
        lambda: problem(linear(1), metric="log_likelihood", **REGRESSION),
        "use 'accuracy' or 'neg_mean_squared_error', or say outputs='probabilities' or 'logits'",
        (
            lambda: utility(
                accuracy_score(YT, answers(linear(1))[:, 0] > 0.5), linear(1), metric="accuracy", **REGRESSION
            ),
            lambda: utility(squared(linear(1), YT), linear(1), metric="neg_mean_squared_error", **REGRESSION),
            lambda: utility(
                own_likelihood(answers(SURE), YT), SURE, metric="log_likelihood", outputs="probabilities", **REGRESSION
            ),
            lambda: utility(logistic(linear(1)), linear(1), metric="log_likelihood", outputs="logits", **REGRESSION),
        ),
    ),
    Case(
        "a vector in a dict of metrics",
        lambda: problem(linear(), metric={"each": lambda outputs, targets: (outputs.argmax(1) == targets).double()}),
        "pass a vector-valued metric on its own",
        (
            lambda: np.testing.assert_array_equal(
                problem(
                    linear(), metric=lambda outputs, targets: (outputs.argmax(1) == targets).double()
                ).given_utility,
                (answers(linear()).argmax(1) == YT).double(),
            ),
        ),
    ),
    Case(
        "a scorer where nothing tells the task",
        lambda: problem(linear(1), loss=absolute, metric="f1"),
        "say outputs='logits' or 'probabilities' for one, 'values' for a regression, or pass a callable "
        "(outputs, targets) -> number instead",
        (
            lambda: utility(
                f1_score(YT, answers(linear(1))[:, 0] > 0), linear(1), loss=absolute, metric="f1", outputs="logits"
            ),
            lambda: utility(
                f1_score(YT, answers(SURE)[:, 0] > 0.5), SURE, loss=absolute, metric="f1", outputs="probabilities"
            ),
            lambda: utility(
                r2(linear(1), SHARES_T), linear(1), SHARES, SHARES_T, loss=absolute, metric="r2", outputs="values"
            ),
            lambda: utility(hits(answers(linear(1)), YT), linear(1), loss=absolute, metric=hits),
        ),
    ),
    Case(
        "a scorer of shares",
        lambda: problem(linear(1), SHARES, SHARES_T, metric="f1", **SOFT),
        "pass a callable (outputs, targets) -> number instead",
        (lambda: utility(hits(answers(linear(1)), SHARES_T), linear(1), SHARES, SHARES_T, metric=hits, **SOFT),),
    ),
    Case(
        "an accuracy of what may be anything",
        lambda: problem(SURE, loss=absolute, metric="accuracy"),
        "say outputs='probabilities', 'logits' or 'values'",
        (
            lambda: utility(HALF, SURE, loss=absolute, metric="accuracy", outputs="probabilities"),
            lambda: utility(
                accuracy_score(YT, answers(SURE)[:, 0] > 0), SURE, loss=absolute, metric="accuracy", outputs="logits"
            ),
            lambda: utility(HALF, SURE, loss=absolute, metric="accuracy", outputs="values"),
        ),
    ),
    Case(
        "a likelihood of what may be anything",
        lambda: problem(SURE, loss=absolute, metric="log_likelihood"),
        "say outputs='probabilities' or 'logits'.",
        (
            lambda: utility(
                own_likelihood(answers(SURE), YT), SURE, loss=absolute, metric="log_likelihood", outputs="probabilities"
            ),
            lambda: utility(logistic(SURE), SURE, loss=absolute, metric="log_likelihood", outputs="logits"),
        ),
    ),
    Case(
        "a score that is no function",
        lambda: Metric("own", 3),
        "a callable (outputs, targets) -> [m] is needed",
        (lambda: utility(0.5, linear(), metric=Metric("own", lambda outputs, _: torch.full((len(outputs),), 0.5))),),
    ),
    Case(
        "no metric at all",
        lambda: problem(linear(), metric={}),
        "at least one metric is needed",
        (lambda: utility(likelihood(linear()), linear(), metric={"ll": "log_likelihood"}),),
    ),
    Case(
        "a metric that is misspelt",
        lambda: resolve_metric("acuracy", F.cross_entropy),
        "did you mean 'accuracy'?",
        (lambda: utility(accuracy_score(YT, answers(linear()).argmax(1)), linear(), metric="accuracy"),),
    ),
]


def of_support_vectors(model, metric):
    data = (X.numpy(), Y.numpy()), (XT.numpy(), YT.numpy())
    return ValuationProblem(model.fit(*data[0]), *data, metric=metric).given_utility


RANKS = Case(
    "choices, and a metric of ranks",
    lambda: of_support_vectors(LinearSVC(), "roc_auc"),
    "use metric='accuracy', or value it as sklearn.calibration.CalibratedClassifierCV fits it.",
    (
        lambda: np.testing.assert_allclose(
            of_support_vectors(LinearSVC(), "accuracy"), LinearSVC().fit(X, Y).score(XT, YT)
        ),
        lambda: np.testing.assert_allclose(
            of_support_vectors(CalibratedClassifierCV(LinearSVC()), "roc_auc"),
            roc_auc_score(YT, CalibratedClassifierCV(LinearSVC()).fit(X, Y).predict_proba(XT)[:, 1]),
        ),
    ),
)

CASES = [*LOSSES, *METRICS, RANKS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
