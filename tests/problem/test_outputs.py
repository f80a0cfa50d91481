"""What a module returns, logits or probabilities, is found out or refused; metrics then take the right link once."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from unshap_plugin import Metric, Recipe, UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.problem.evidence import last_link
from unshap_plugin.scoring.outputs import OUTPUTS, taken_by, to_logits
from unshap_plugin.scoring.predictive import soft_loss
from unshap_plugin.unlearners._reference import predicted_means

GROUPS = np.repeat(np.arange(4), [3, 7, 6, 8])
rng = np.random.default_rng(0)
X, XT = rng.normal(size=(24, 3)), rng.normal(size=(30, 3))
Y, YT = ((x @ [1.0, 0.5, 0.0] + 0.3 * rng.normal(size=len(x)) > 0).astype(int) for x in (X, XT))


class Net(nn.Module):
    """A linear layer, and whatever comes after it."""

    def __init__(self, outputs, end, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.end = nn.Linear(3, outputs).double(), end

    def forward(self, x):
        return self.end(self.layer(x))


def own_binary(p, y):
    return F.binary_cross_entropy(p[:, 0], y.to(p), reduction="none")


def own_nll(p, y):
    return F.nll_loss(p.log(), y, reduction="none")


#: Ends of a module, the loss that goes with them, and what they are.
ENDS = {
    "sigmoid": (1, torch.sigmoid, own_binary, "probabilities"),
    "Sigmoid": (1, nn.Sigmoid(), own_binary, "probabilities"),
    "Sigmoid, flat": (1, lambda z: torch.sigmoid(z)[:, 0], lambda p, y: own_binary(p[:, None], y), "probabilities"),
    "Sigmoid, clamped": (1, lambda z: torch.sigmoid(z).clamp(1e-6, 1 - 1e-6), own_binary, "probabilities"),
    "Sigmoid, named loss": (1, nn.Sigmoid(), "binary_cross_entropy", "probabilities"),
    "Softmax": (2, nn.Softmax(dim=-1), own_nll, "probabilities"),
    "softmax by hand": (2, lambda z: z.exp() / z.exp().sum(dim=-1, keepdim=True), own_nll, "probabilities"),
    "both of one sigmoid": (1, lambda z: torch.cat([1 - z.sigmoid(), z.sigmoid()], dim=-1), own_nll, "probabilities"),
    "LogSoftmax": (2, nn.LogSoftmax(dim=-1), "nll_loss", "log_probabilities"),
    "LogSoftmax, torch's loss": (2, nn.LogSoftmax(dim=-1), nn.NLLLoss(reduction="none"), "log_probabilities"),
    "LogSoftmax, cross entropy": (2, nn.LogSoftmax(dim=-1), "cross_entropy", "log_probabilities"),
    "LogSigmoid": (1, F.logsigmoid, lambda o, y: own_binary(o.exp(), y), "log_probabilities"),
    "logits": (2, nn.Identity(), "cross_entropy", "logits"),
    "one logit": (1, nn.Identity(), "binary_cross_entropy_with_logits", "logits"),
    "logits, own loss": (
        2,
        nn.Identity(),
        functools.partial(F.cross_entropy, reduction="none", label_smoothing=0.0),
        "logits",
    ),
}
BINARY = {"binary_cross_entropy", "binary_cross_entropy_with_logits"}


def made(name, **kwargs):
    outputs, end, loss, kind = ENDS[name]
    model = Net(outputs, end)
    recipe = Recipe("adam", lr=0.1, epochs=4, batch_size=8, init=Net(outputs, end, seed=1))
    dtype = float if loss in BINARY else int
    data = (X, Y.astype(dtype)), (XT, YT.astype(dtype))
    return ValuationProblem(model, *data, groups=GROUPS, loss=loss, fit=recipe, **kwargs), model, kind


def probabilities(name, model, x=XT):
    """The probability of the second class, by what the test knows of the end."""
    with torch.no_grad():
        z = model.layer(torch.as_tensor(x))
    return (z.sigmoid()[:, 0] if ENDS[name][0] == 1 else z.softmax(dim=1)[:, 1]).numpy()


METRICS = {
    "accuracy": lambda p: np.mean((p > 0.5) == YT),
    "log_likelihood": lambda p: -log_loss(YT, p),
    "roc_auc": lambda p: roc_auc_score(YT, p),
    "neg_log_loss": lambda p: -log_loss(YT, p),
    "balanced_accuracy": lambda p: np.mean([np.mean((p[k == YT] > 0.5) == k) for k in (0, 1)]),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_utility_is_the_metric_by_hand(name, metric):
    own = name == "logits, own loss"
    problem, model, kind = made(name, metric=metric, **({"outputs": "logits"} if own else {}))
    assert problem.outputs_are == kind
    assert problem.given_utility == pytest.approx(METRICS[metric](probabilities(name, model)), abs=1e-9)


TWINS = [
    ("Sigmoid", "one logit"), ("Sigmoid, flat", "one logit"), ("sigmoid", "one logit"),
    ("Sigmoid, named loss", "one logit"), ("LogSigmoid", "one logit"), ("Softmax", "logits"),
    ("softmax by hand", "logits"), ("LogSoftmax", "logits"), ("LogSoftmax, torch's loss", "logits"),
    ("LogSoftmax, cross entropy", "logits"), ("both of one sigmoid", "one logit"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "twin"), TWINS)
@pytest.mark.parametrize("unlearner", ["retrain", "newton"])
@pytest.mark.parametrize("metric", ["accuracy", "log_likelihood"])
def test_values_are_those_of_the_twin_that_returns_logits(name, twin, unlearner, metric):
    values = []
    for one in (name, twin):
        problem, *_ = made(one, metric=metric)
        values.append(shapley_values(UnlearningGame(problem, unlearner), "exact"))
    np.testing.assert_allclose(values[0].values, values[1].values, atol=1e-6, rtol=0)
    assert values[0].utility_none == pytest.approx(values[1].utility_none, abs=1e-6)


@pytest.mark.parametrize("name", ENDS)
def test_what_is_said_is_as_good_as_what_is_found(name):
    found, _, kind = made(name, metric="accuracy")
    said, *_ = made(name, metric="accuracy", outputs=kind)
    assert (said.outputs_are, said.given_utility) == (kind, found.given_utility)
    assert not said.notes
    assert said.task == "classification"


def test_shares_of_one_are_a_guess_which_is_noted():
    problem, *_ = made("softmax by hand", metric="accuracy")
    assert any("were taken for probabilities: say outputs='logits'" in note for note in problem.notes)
    other, *_ = made("softmax by hand", metric="log_likelihood", outputs="logits")
    assert not other.notes
    assert not made("Softmax", metric="accuracy")[0].notes


def net(outputs, end=nn.Identity()):  # noqa: B008
    return Net(outputs, end)


def ask(model, loss, **kwargs):
    y, yt = (Y.astype(float), YT.astype(float)) if loss in BINARY else (Y, YT)
    kwargs.setdefault("metric", "accuracy")
    return ValuationProblem(model, (X, y), (XT, yt), groups=GROUPS, loss=loss, **kwargs)


#: What contradicts itself, the message, and what follows its advice.
WRONG = {
    "values outside": (
        lambda **k: ask(net(2), "cross_entropy", **k), {"outputs": "probabilities"},
        "outputs is 'probabilities', but those of Net go from", {"outputs": "logits"},
    ),
    "log-probabilities above zero": (
        lambda **k: ask(net(2), "cross_entropy", **k), {"outputs": "log_probabilities"},
        "outputs is 'log_probabilities', but those of Net go from .* say outputs='logits'", {"outputs": "logits"},
    ),
    "negative logits are no log-probabilities": (
        lambda **k: ask(net(2, lambda z: z - 9), "cross_entropy", **k), {"outputs": "log_probabilities"},
        "no logarithms of shares of one", {"outputs": "logits"},
    ),
    "a sigmoid said to be logits": (
        lambda **k: ask(net(1, nn.Sigmoid()), own_binary, **k), {"outputs": "logits"},
        "outputs is 'logits', but Net ends in a softmax or a sigmoid: say outputs='probabilities'",
        {"outputs": "probabilities"},
    ),
    "a sigmoid and a logits loss": (
        lambda **k: ask(net(1, nn.Sigmoid()), **{"loss": "binary_cross_entropy_with_logits", **k}), {},
        "takes the outputs for logits, but Net ends in .* loss='binary_cross_entropy'",
        {"loss": "binary_cross_entropy"},
    ),
    "a sigmoid and a logits loss, trained so": (
        lambda **k: ask(net(1, nn.Sigmoid()), "binary_cross_entropy_with_logits", **k), {},
        "if it was trained with this one, say outputs='probabilities'", {"outputs": "probabilities"},
    ),
    "a softmax and the cross entropy": (
        lambda **k: ask(net(2, nn.Softmax(dim=-1)), **{"loss": "cross_entropy", **k}), {},
        "takes the outputs for logits, but Net ends in .* a callable that takes 'nll_loss' of their logarithms",
        {"loss": own_nll},
    ),
    "a softmax by hand and the cross entropy": (
        lambda **k: ask(net(2, ENDS["softmax by hand"][1]), "cross_entropy", **k), {},
        "but Net has outputs that are shares of one: .* say outputs='probabilities'", {"outputs": "probabilities"},
    ),
    "logits and the loss of log-probabilities": (
        lambda **k: ask(net(2), **{"loss": "nll_loss", **k}), {},
        "nll_loss needs log-probabilities, but the outputs go from .* use loss='cross_entropy'",
        {"loss": "cross_entropy"},
    ),
    "logits and the loss of probabilities": (
        lambda **k: ask(net(1), **{"loss": "binary_cross_entropy", **k}), {},
        "binary_cross_entropy needs probabilities, .* use loss='binary_cross_entropy_with_logits'",
        {"loss": "binary_cross_entropy_with_logits"},
    ),
    "probabilities and the loss of log-probabilities": (
        lambda **k: ask(net(2, nn.Softmax(dim=-1)), **{"loss": nn.NLLLoss(reduction="none"), **k}), {},
        "takes the outputs for log_probabilities, but Net ends in probabilities", {"loss": own_nll},
    ),
    "one number between 0 and 1, own loss": (
        lambda **k: ask(net(1, lambda z: 1 / (1 + torch.exp(-z))), own_binary, **k), {},
        "metric 'accuracy' needs to know what the outputs of the model are.*outputs='probabilities'",
        {"outputs": "probabilities"},
    ),
    "the likelihood of values": (
        lambda **k: ask(net(2), F1_LOSS, metric="log_likelihood", **k), {"outputs": "values"},
        "needs probabilities, but the outputs of the model were taken for values", {"outputs": "logits"},
    ),
    "a scorer and an own loss": (
        lambda **k: ask(net(2), F1_LOSS, metric="f1", **k), {},
        "does not tell whether the model is a classifier: say outputs='logits'", {"outputs": "logits"},
    ),
}  # fmt: skip


def F1_LOSS(outputs, targets):  # noqa: N802
    return (outputs - F.one_hot(targets, 2)).abs().mean(dim=1)


@pytest.mark.parametrize("case", WRONG)
def test_what_contradicts_itself_is_refused_and_the_advice_helps(case):
    build, wrong, message, right = WRONG[case]
    with pytest.raises(InvalidValueError, match=message):
        build(**wrong)
    problem = build(**{**wrong, **right})
    assert np.isfinite(problem.given_utility).all()


def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownNameError, match=r"unknown kind of outputs 'logit' \(did you mean 'logits'\?\)"):
        ask(net(2), "cross_entropy", outputs="logit")


@pytest.mark.parametrize("model", [LogisticRegression(), DecisionTreeClassifier()])
def test_objects_say_themselves_what_they_answer(model):
    fitted = model.fit(X, Y)
    with pytest.raises(InvalidValueError, match=rf"is of torch modules, but {type(model).__name__} says itself"):
        value(fitted, (X, Y), (XT, YT), groups=GROUPS, outputs="logits")
    assert np.isfinite(value(fitted, (X, Y), (XT, YT), groups=GROUPS).values).all()


# The squared error: estimates of labels of 0 and 1 are held against a half.


@pytest.mark.parametrize("end", [nn.Identity(), nn.Sigmoid()])
def test_accuracy_of_a_model_of_the_squared_error(end):
    problem = ask(net(1, end), "mse")
    with torch.no_grad():
        outputs = problem.given_model(torch.as_tensor(XT))[:, 0].numpy()
    assert problem.given_utility == pytest.approx(np.mean((outputs > 0.5) == YT))
    assert ValuationProblem(net(1, end), (X, Y), (XT, YT), loss="mse").metric.name == "neg_mean_squared_error"


def test_other_metrics_are_given_the_outputs_as_they_are():
    seen = []

    def look(outputs, targets):
        seen.append(outputs)
        return float(outputs.sum())

    for metric in (look, Metric("own", lambda o, y: torch.stack([torch.as_tensor(look(one, y)) for one in o]))):
        seen.clear()
        problem = ask(net(1, nn.Sigmoid()), own_binary, metric=metric)
        with torch.no_grad():
            expected = problem.given_model(torch.as_tensor(XT))
        assert torch.equal(seen[0], expected)
    seen.clear()
    ask(net(1, nn.Sigmoid()), own_binary, metric=Metric("own", problem.metric.score, task="classification"))
    torch.testing.assert_close(seen[0].sigmoid(), expected, atol=1e-12, rtol=0)


def test_multi_column_metrics_take_the_link_each():
    problem, model, _ = made("Sigmoid", metric={"hits": "accuracy", "ll": "log_likelihood", "auc": "roc_auc"})
    p = probabilities("Sigmoid", model)
    expected = [METRICS[name](p) for name in ("accuracy", "log_likelihood", "roc_auc")]
    np.testing.assert_allclose(problem.given_utility, expected, atol=1e-9)


# The parts.


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "logits"),
        (nn.BCELoss(reduction="none"), "probabilities"),
        (functools.partial(F.nll_loss, reduction="none"), "log_probabilities"),
        (F.mse_loss, "values"),
        (own_nll, None),
        (functools.partial(own_nll), None),
    ],
)
def test_what_a_loss_takes(loss, kind):
    assert taken_by(loss) == kind


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda z: z, None),
        (torch.relu, None),
        (lambda z: z.softmax(dim=-1)[:, :1], "probabilities"),
        (lambda z: z.log_softmax(dim=-1).unsqueeze(1).squeeze(1), "log_probabilities"),
        (lambda z: 2 * z.sigmoid(), None),
        (lambda z: z.sigmoid().detach(), None),
    ],
)
def test_the_last_operation(end, kind):
    assert last_link(Net(2, end), torch.as_tensor(X)) == kind


@given(
    st.lists(st.floats(-15, 15), min_size=2, max_size=5),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(OUTPUTS[:3]),
)
@settings(max_examples=60, deadline=None)
def test_logits_give_the_probabilities_back(numbers, dtype, kind):
    z = torch.tensor([[numbers]], dtype=dtype)
    for logits, link in ((z, lambda t: t.softmax(dim=-1)), (z[..., :1], torch.sigmoid)):
        p = link(logits.double())
        outputs = {"logits": logits, "probabilities": link(logits), "log_probabilities": link(logits).log()}[kind]
        torch.testing.assert_close(link(to_logits(outputs, kind).double()), p, atol=1e-6, rtol=1e-5)


def test_a_module_that_only_runs_without_gradients():
    def end(z):
        return torch.as_tensor(1 / (1 + np.exp(-z.numpy())))

    with torch.no_grad():
        assert last_link(Net(1, end), torch.as_tensor(X)) is None


@pytest.mark.parametrize(("name", "twin"), [("Sigmoid, named loss", "one logit"), ("LogSoftmax", "logits")])
def test_a_teacher_teaches_the_probabilities(name, twin):
    """Whatever the module returns: means, and the losses against them, are those of the twin that returns logits."""
    means, losses = [], []
    for one in (name, twin):
        problem, *_ = made(one, metric="log_likelihood", reference=XT[:10] + 0.01)
        means.append(predicted_means(problem))
        outputs = problem.outputs(problem.model, problem.reference[0])
        losses.append(soft_loss(problem.loss)(outputs, means[-1].flip(0)))
    torch.testing.assert_close(means[0], means[1], atol=1e-12, rtol=0)
    torch.testing.assert_close(losses[0], losses[1], atol=1e-12, rtol=0)


def test_probabilities_of_nothing_and_of_one_have_a_likelihood():
    p = torch.tensor([[[1.0], [0.0]]])
    logits = to_logits(p, "probabilities")
    assert torch.isfinite(logits).all()
    assert logits[0, 0] > 15
    assert logits[0, 1] < -80


def test_the_errors_are_sentences():
    for build, wrong, *_ in WRONG.values():
        with pytest.raises(InvalidValueError) as error:
            build(**wrong)
        assert re.search(r"[a-z'\])]\.$", str(error.value))


def test_text_labels_of_a_module_are_said_to_be_in_this_order():
    x = torch.eye(4)
    problem = ValuationProblem(torch.nn.Linear(4, 2), (x, ["no", "yes", "no", "yes"]), (x + 1, ["no", "yes"] * 2))
    [note] = problem.notes
    assert note.startswith(
        "the labels are text, and the outputs of the model were taken for 'no', 'yes', in this order"
    )
    assert ValuationProblem(torch.nn.Linear(4, 2), (x, [0, 1, 0, 1]), (x + 1, [0, 1, 0, 1])).notes == ()
