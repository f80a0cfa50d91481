"""Unlearning some parameters only, on features of the frozen rest that are computed once."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from problems import UNLEARNERS, breast_cancer, coalitions
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import unshap_plugin.model.trained
from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.frozen import cut
from unshap_plugin.model.modes import to_training
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners.retrain import trains_differently

(X, Y), (XT, YT) = breast_cancer()
REFERENCE = breast_cancer(seed=5)[1][0][:20] + 0.01
GROUPS = np.array(list("abcdefgh") * 5)
#: float64; Gauss-Newton's matrix in place of the head's own Hessian, and half-precision preconditioners, included.
TOLERANCE = 1e-7


class Block(nn.Module):
    """A residual block with batch norm."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, x):
        return torch.relu(x + self.bn(self.conv(x)))


class Residual(nn.Module):
    """A network of the form of a ResNet, no ``nn.Sequential``."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, 4, 3, padding=1)
        self.layer1, self.layer2 = Block(4), Block(4)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x[:, None])))
        return self.fc(self.dropout(x.mean(dim=2)))


class Named(nn.Module):
    """Takes its inputs by name, and hands named ones on."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.out = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, hidden, mask):
            weight = mask[..., None].to(hidden.dtype)
            pooled = (hidden * weight).sum(-2) / weight.sum(-2)
            return self.out(torch.tanh(self.dense(pooled)))

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 3)
        self.classifier = self.Classifier()

    def forward(self, ids, mask):
        return self.classifier(hidden=self.embed(ids), mask=mask)


class Tied(nn.Module):
    """The weight of the last layer is that of the first."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(2, 6, bias=False)
        self.head = nn.Linear(2, 6)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(torch.tanh(x @ self.embed.weight))


def sequential():
    return nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 2)
    )


def trained(make, dtype=torch.float64, **kwargs):
    """A model that moved from its initial parameters, statistics of batch norm included, and its recipe."""
    torch.manual_seed(0)
    start = make().to(dtype)
    recipe = Recipe("adam", lr=0.03, epochs=3, batch_size=10, init=start, **kwargs)
    return recipe.train(start, cross_entropy, torch.as_tensor(X, dtype=dtype), torch.as_tensor(Y)), recipe


def make(model, recipe, parameters, **kwargs):
    kwargs = {"metric": "log_likelihood", "groups": GROUPS, "reference": REFERENCE, **kwargs}
    return ValuationProblem(model, (X, Y), (XT, YT), fit=recipe, parameters=parameters, **kwargs)


@pytest.fixture
def slowly(monkeypatch):
    """Make problems that take the whole module in every pass."""

    def made(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(unshap_plugin.model.trained, "cut", lambda module, sets: None)
            return make(*args, **kwargs)

    return made


def unlearned(problem, name, matrix, seed=3):
    settings = {"steps": 3} if name in ("newton", "replay") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve_unlearner(name, settings).unlearn(problem, matrix, seed)


CASES = {
    "head of a network": (sequential, "head", "Linear"),
    "end of a network": (sequential, ["3", "6.*"], "Sequential"),
    "head of a residual network": (Residual, "fc", "Linear"),
    "end with batch norm and a frozen layer": (sequential, ["1", "3.*"], "Sequential"),
}


@pytest.mark.parametrize("name", UNLEARNERS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_cached_features_give_what_the_whole_module_gives(name, case, slowly):
    module, parameters, kind = case
    model, recipe = trained(module, l2={"fc.weight": 0.5} if module is Residual else 0.1)
    fast, slow = make(model, recipe, parameters), slowly(model, recipe, parameters)
    assert type(fast.model).__name__ == kind
    assert type(slow.model) is type(model)
    matrix = coalitions(5, 8)
    matrix[:2] = [[True] * 8, [False] * 8]
    a, b = (unlearned(one, name, matrix) for one in (fast, slow))
    assert a.engine.n_parameters == b.engine.n_parameters < sum(p.numel() for p in model.parameters())
    # Newton's systems for the linear heads that are cut off are solved roughly, those of the whole by factors.
    close = {"atol": 5e-3, "rtol": 5e-3} if name == "newton" else {"atol": TOLERANCE, "rtol": TOLERANCE}
    for p, q in zip(a.engine.flatten(a.state), b.engine.flatten(b.state), strict=True):
        torch.testing.assert_close(p, q, **close)
    torch.testing.assert_close(a.outputs(fast.x_test), b.outputs(slow.x_test), **close)
    with torch.no_grad():
        assert torch.equal(fast.outputs(fast.model, fast.x_test), model(torch.as_tensor(XT)))
    assert np.array_equal(fast.given_utility, slow.given_utility)


@pytest.mark.parametrize("name", UNLEARNERS)
def test_only_the_selected_parameters_are_touched(name, slowly):
    model, recipe = trained(sequential)
    slow = slowly(model, recipe, "head")
    assert list(slow.engine.theta0) == ["6.weight", "6.bias"]
    models = unlearned(slow, name, coalitions(20, 8))
    given = slow.engine.state
    assert any(not torch.equal(one, given["6.weight"]) for one in models.state["6.weight"])
    for key in models.state.keys() - {"6.weight", "6.bias"}:
        assert all(torch.equal(one, given[key]) for one in models.state[key])
    assert all(torch.equal(value, dict(model.state_dict())[key]) for key, value in given.items())
    assert all(p.requires_grad for p in model.parameters()), "the caller's module is not touched"


def test_inputs_by_name(slowly):
    torch.manual_seed(0)
    ids, mask = torch.randint(0, 20, (60, 5)), torch.ones(60, 5, dtype=torch.bool)
    labels = (ids[:, 0] > 9).long()

    def rows(which):
        return {"ids": ids[which], "mask": mask[which]}

    model = Named().double()
    recipe = Recipe(epochs=2, batch_size=8, init=Named().double())

    def problem(how):
        data = (rows(slice(20)), labels[:20]), (rows(slice(20, 60)), labels[20:])
        with pytest.MonkeyPatch.context() as patch:
            if how == "slow":
                patch.setattr(unshap_plugin.model.trained, "cut", lambda module, sets: None)
            return ValuationProblem(
                model, *data, metric="log_likelihood", parameters="classifier", fit=recipe, access="partial"
            ), ValuationProblem(model, *data, metric="log_likelihood", parameters=["classifier.*"], fit=recipe)

    (partial, full), (partial_slow, full_slow) = problem("fast"), problem("slow")
    assert set(full.x) == {"hidden", "mask"}
    assert full.x["hidden"].shape == (20, 5, 3)
    assert partial.reference is not None
    matrix = coalitions(4, 20)
    for name in ("finetune", "retrain", "newton"):
        values = UnlearningGame(full, name)(matrix)
        np.testing.assert_allclose(values, UnlearningGame(full_slow, name)(matrix), atol=TOLERANCE)
    for name in ("anchored", "reference_teacher"):
        values = UnlearningGame(partial, name)(matrix)
        np.testing.assert_allclose(values, UnlearningGame(partial_slow, name)(matrix), atol=TOLERANCE)
    out = make_with(model, "classifier.out", (rows(slice(20)), labels[:20]), (rows(slice(20, 60)), labels[20:]))
    assert isinstance(out.model, nn.Linear)


def make_with(model, parameters, train, test):
    return ValuationProblem(model, train, test, parameters=parameters)


def test_tied_weights_enter_more_than_the_head():
    model, recipe = trained(Tied)
    problem = make(model, recipe, "head")
    assert isinstance(problem.model, Tied), "nothing can be computed once"
    assert list(problem.engine.theta0) == ["embed.weight", "head.bias"]
    assert "frozen" not in str(problem.notes)
    assert problem.notes == ()
    bias = make(model, recipe, "head.bias")
    assert list(bias.engine.theta0) == (["bias"] if isinstance(bias.model, nn.Linear) else ["head.bias"])
    for name in ("finetune", "retrain"):
        values = UnlearningGame(bias, name)(coalitions(4, 8))
        assert np.isfinite(values).all()


class Odd(nn.Module):
    """A head that cannot be cut off, for a reason of each kind."""

    def __init__(self, how):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(6, 2), nn.Linear(2, 2), how

    def forward(self, x):
        z = torch.tanh(self.body(x))
        if self.how == "twice":
            return self.head(self.head(z))
        if self.how == "by another way":
            return self.head(z @ self.head.weight)
        if self.how == "changed in place":
            return self.head(z).relu_()
        if self.how == "changed afterwards":
            return self.head(z) * 2
        if self.how == "inputs changed in place":
            out = self.head(z)
            z += 1
            return out
        if self.how == "several rows for one":
            return self.head(torch.cat([z, z]))[: len(z)]
        if self.how == "rows depend on each other":
            return self.head(z - z.mean(dim=0))
        return self.head(z)


@pytest.mark.parametrize(
    "how",
    [
        "twice",
        "by another way",
        "changed in place",
        "changed afterwards",
        "inputs changed in place",
        "several rows for one",
        "rows depend on each other",
    ],
)
def test_what_cannot_be_cut_off_is_frozen_all_the_same(how):
    torch.manual_seed(0)
    model = Odd(how).double()
    problem = make(model, None, "head")
    assert isinstance(problem.model, Odd)
    assert list(problem.engine.theta0) == ["head.weight", "head.bias"]
    with torch.no_grad():
        assert torch.equal(problem.outputs(problem.model, problem.x_test), model(torch.as_tensor(XT)))
    assert isinstance(make(Odd("as usual").double(), None, "head").model, nn.Linear)


def test_hooks_of_the_head_go_with_it():
    model, _ = trained(sequential)
    model[6].register_forward_pre_hook(lambda _layer, args: (args[0] * 2,))
    problem = make(model, None, "head")
    assert isinstance(problem.model, nn.Linear)
    with torch.no_grad():
        assert torch.equal(problem.outputs(problem.model, problem.x_test), model.eval()(torch.as_tensor(XT)))
    model.register_forward_hook(lambda _layer, _args, output: output + 1)
    assert isinstance(make(model, None, "head").model, nn.Sequential)


def test_the_rest_is_called_once_and_never_again():
    model, recipe = trained(sequential)
    calls = []

    class Counting(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            return x

    counted = nn.Sequential(Counting(), *model)
    problem = make(counted, None, "head")
    seen = len(calls)
    assert sum(calls) <= 40 + 60 + 20 + 2 * 8, "train, test and reference once, and a few rows to try"
    UnlearningGame(problem, "finetune")(coalitions(5, 8))
    assert len(calls) == seen
    assert len(recipe.init)


def test_frozen_layers_stay_in_evaluation_mode_where_others_train():
    model, recipe = trained(Residual)
    problem = make(model, recipe, ["layer2", "fc.*"])
    training = to_training(copy.deepcopy(problem.model))
    modes = {name: layer.training for name, layer in training.named_modules() if not list(layer.children())}
    assert modes == {
        "stem": False, "layer1.conv": False, "layer1.bn": False,
        "layer2.conv": True, "layer2.bn": True, "dropout": True, "fc": True,
    }  # fmt: skip
    assert trains_differently(problem.engine, problem.x) == "BatchNorm1d"
    with pytest.warns(UserWarning, match="because of BatchNorm1d in training mode"):
        state = resolve_unlearner("retrain").unlearn(problem, coalitions(3, 8), 0).state
    given = model.state_dict()
    for name in ("stem.weight", "layer1.conv.weight", "layer1.bn.running_mean", "layer1.bn.weight"):
        assert name not in state or all(torch.equal(one, given[name]) for one in state[name])
    assert not torch.equal(state["layer2.bn.running_mean"][1], given["layer2.bn.running_mean"])
    head = make(model, recipe, "fc")
    assert trains_differently(head.engine, head.x) is None
    assert all(layer.training for layer in to_training(copy.deepcopy(model)).modules()), "nothing is frozen"


def test_unknown_initial_parameters_are_drawn_for_the_selected_alone(slowly):
    model, _ = trained(Residual)
    recipe = Recipe("adam", epochs=2, batch_size=8)
    state = recipe.initial_state(slowly(model, recipe, "fc").model, 4)
    given = model.state_dict()
    assert {name for name in state if not torch.equal(state[name], given[name])} == {"fc.weight", "fc.bias"}
    alone = recipe.initial_state(make(model, recipe, "fc").model, 4)
    assert torch.equal(alone["weight"], state["fc.weight"])
    init = {"fc.weight": torch.zeros(2, 4), "fc.bias": torch.ones(2)}  # the rest is not needed
    kept = Recipe(init=init).initial_state(slowly(model, recipe, "fc").model, 0)
    assert torch.equal(kept["fc.bias"], torch.ones(2).double())
    assert torch.equal(kept["stem.weight"], given["stem.weight"])


def test_selecting_all_is_as_without():
    model, recipe = trained(sequential)
    every, without = make(model, recipe, ["*"]), make(model, recipe, None)
    assert every.notes == without.notes == ()
    assert list(every.engine.theta0) == list(without.engine.theta0)
    matrix = coalitions(4, 8)
    for name in ("finetune", "replay"):
        assert np.array_equal(UnlearningGame(every, name)(matrix), UnlearningGame(without, name)(matrix))


def test_a_note_says_what_is_unlearned():
    model, recipe = trained(sequential)
    assert make(model, recipe, "head").notes == (
        "only 6.weight, 6.bias are unlearned and retrained (10 of 79 parameters); the others stay as they are given, "
        "whatever they learned from which rows.",
    )


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ("head", ["6.weight", "6.bias"]),
        ("6", ["6.weight", "6.bias"]),
        ("6.*", ["6.weight", "6.bias"]),
        ("[36].bias", ["3.bias", "6.bias"]),
        (["*.bias", "3"], ["0.bias", "1.bias", "3.weight", "3.bias", "6.bias"]),
    ],
)
def test_names_and_patterns(parameters, names, slowly):
    model, recipe = trained(sequential)
    assert list(slowly(model, recipe, parameters).engine.theta0) == names


def test_a_submodule_called_head_comes_before_the_last():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.last = nn.Linear(6, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.last(self.head(x))

    problem = make(Two().double(), None, "head")
    assert list(problem.engine.theta0) == ["head.weight", "head.bias"]


class Bare(nn.Module):
    """Has a parameter of its own, outside any layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 2, dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


def test_a_parameter_outside_any_layer():
    assert list(make(Bare(), None, "head").engine.theta0) == ["weight"]


NAMES = "0.weight, 0.bias, 1.weight, 1.bias, 3.weight, 3.bias, 6.weight, 6.bias"


@pytest.mark.parametrize(
    ("model", "parameters", "error", "message"),
    [
        (sequential().double(), "6.wieght", InvalidValueError, rf"'6.wieght' .*'6.weight'.* are {NAMES}"),
        (Residual().double(), ["fc", "layer3"], InvalidValueError, r"names 'layer3' \(did you mean 'layer[12]'\?\)"),
        (sequential().double(), [], InvalidValueError, r"parameters is \[\], but none that it names is trainable"),
        (sequential().double(), 6, InvalidTypeError, "parameters is 6, but a pattern"),
        (sequential().double().requires_grad_(False), "head", InvalidValueError, "but none that it names is trainable"),
        (nn.Sequential(nn.Tanh()), "head", InvalidValueError, "but Sequential has no parameters"),
        (DecisionTreeClassifier().fit(X, Y), "head", InvalidTypeError, "but DecisionTreeClassifier is not a torch"),
    ],
)  # fmt: skip
def test_bad_names(model, parameters, error, message):
    with pytest.raises(error, match=message):
        make(model, None, parameters)


def test_artefacts_are_those_of_the_whole_module_and_its_rows(slowly, tmp_path):
    model, recipe = trained(sequential)
    full, slow = make(model, recipe, "head"), slowly(model, recipe, "head")
    ours, theirs = compute_artifacts(full), compute_artifacts(slow)
    assert ours.model == theirs.model
    assert torch.equal(ours.hashes, theirs.hashes)
    for name, value in ours.tensors().items():
        torch.testing.assert_close(value, theirs.tensors()[name], atol=1e-8, rtol=1e-8)
    ours.save(tmp_path / "artefacts")
    some = np.isin(GROUPS, list("abc"))
    data = (X[some], Y[some]), (XT, YT)
    keywords = dict(metric="log_likelihood", groups=GROUPS[some], access="partial", fit=recipe)
    partial = ValuationProblem(model, *data, parameters="head", artifacts=tmp_path / "artefacts", **keywords)
    matrix = np.array([[True, True, False], [False, True, False], [False] * 3])
    whole = ValuationProblem(
        model, (X, Y), partial_test(partial, data), groups=GROUPS, valued=list("abc"), metric="log_likelihood",
        fit=recipe, parameters="head",
    )  # fmt: skip
    values = UnlearningGame(partial, "newton")(matrix)
    expected = UnlearningGame(whole, "newton", steps=1)(matrix)
    np.testing.assert_allclose(values, expected, atol=1e-2)
    assert np.abs(values - partial.given_utility).min() > 1e-4
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight[0, 0] += 1e-3  # a frozen one
    with pytest.raises(InvalidValueError, match="those of another model"):
        ValuationProblem(other, *data, parameters="head", artifacts=ours, **keywords)
    with pytest.raises(InvalidValueError, match="those of another model"):
        ValuationProblem(model, *data, artifacts=ours, **keywords)


def partial_test(partial, data):
    """The half of the test rows that a partial problem measures utility on."""
    rows = {tuple(row): label for row, label in zip(data[1][0], data[1][1], strict=True)}
    labels = partial.y_test.tolist()
    order = np.random.default_rng(0).permutation(len(YT))
    order = order[np.argsort(YT[order], kind="stable")]
    test = np.sort(order[0::2])
    assert YT[test].tolist() == labels
    assert len(rows) == len(YT)
    return XT[test], YT[test]


def test_problems_can_be_made_from_the_end_that_is_left():
    model, recipe = trained(Residual)
    problem = make(model, recipe, "head")
    again = ValuationProblem(
        problem.model, (problem.x, problem.y), (problem.x_test, problem.y_test), metric="log_likelihood",
        groups=GROUPS, fit=problem.recipe,
    )  # fmt: skip
    matrix = coalitions(5, 8)
    for name in ("retrain", "newton"):
        assert np.array_equal(UnlearningGame(problem, name)(matrix), UnlearningGame(again, name)(matrix))
    assert UnlearningGame(problem).reason == "a linear model of 10 parameters is what Newton steps are best for"


def test_cut_leaves_the_module_alone():
    model, _ = trained(Residual)
    before = copy.deepcopy(model.state_dict())
    model.zero_grad()
    model.requires_grad_(False)
    model.fc.requires_grad_(True)
    part = cut(model.eval(), [torch.as_tensor(X), torch.as_tensor(XT)])
    assert part.prefix == "fc."
    assert [len(rows) for rows in part.rows] == [40, 60]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not model.fc._forward_pre_hooks
    assert cut(model, [torch.as_tensor(X[:1])]) is None, "a single row does not tell whether inputs are by row"
