"""What errors about torch modules and their recipes advise, followed to the letter."""

from __future__ import annotations

import copy
import threading
import warnings

import numpy as np
import pytest
import torch
from advice import ROOT, Case, check, without_a_case
from advised import XT, YT, X, Y, plausible, same, values
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from unshap_plugin import Recipe
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.guard import guard
from unshap_plugin.model.recipe import resolve_recipe
from unshap_plugin.model.trained import TrainedModule

OBJECTS = ("classes", "columns", "fit_predict", "numeric", "plain_fit", "raw", "rows")
MODEL = [path.relative_to(ROOT) for path in (ROOT / "unshap_plugin/model").glob("*.py") if path.stem not in OBJECTS]
FOLDERS = [*map(str, MODEL), "unshap_plugin/second_order"]

TX, TY = torch.as_tensor(X), torch.as_tensor(Y)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


START = network()


def trained(start=START, **kwargs):
    return Recipe(**{"lr": 0.05, "epochs": 3, "init": start, **kwargs}).train(start, cross_entropy, TX, TY)


MODEL = trained()
PLAIN = values(MODEL)


class Tokens(nn.Module):
    """Two tokens a row in a bag, of which torch knows no second derivative."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head = nn.EmbeddingBag(6, 3, mode="sum").double(), nn.Linear(3, 2).double()

    def forward(self, x):
        return self.head(self.table(x))


BAGS, BAGS_T = (((x[:, :2] > 0) + np.array([0, 2])).astype(int) for x in (X, XT))


class Empty(nn.Module):
    """One without parameters."""

    def forward(self, x):
        return x[:, :2]


class Pair(nn.Module):
    """One that returns more than its outputs."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return [self.module(x), x]


class First(Pair):
    """Wraps one of these, and returns its outputs alone."""

    def forward(self, x):
        return self.module(x)[0]


class Own(nn.Module):
    """A layer that cannot draw its parameters."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2, dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


class Locked(nn.Linear):
    """A layer with something that cannot be copied."""

    def __init__(self, lock=True):
        torch.manual_seed(0)
        super().__init__(3, 2, dtype=torch.float64)
        if lock:
            self.lock = threading.Lock()


class LeftOut(Locked):
    """One that leaves it out of copies."""

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "lock"}


def scripted(model=MODEL):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        return torch.jit.script(model)


def from_script():
    plain = network()
    plain.load_state_dict(scripted().state_dict())
    return values(plain)


def wrapped(model):
    return nn.Sequential(nn.DataParallel(model[0]), *model[1:])


def unwrapped(model):
    return nn.Sequential(model[0].module, *model[1:])


def retrained(fit, model=MODEL, **kwargs):
    return values(model, unlearner="retrain", fit=fit, **kwargs)


def one_by_one():
    with pytest.warns(UserWarning, match="one coalition at a time"):
        plausible(retrained(Recipe("lbfgs", epochs=5, init=START)))


RETRAINED = retrained(Recipe(lr=0.05, epochs=3, init=START))


def frozen(layer):
    model = copy.deepcopy(MODEL)
    model[layer].requires_grad_(False)
    return model


def trainable(model, layer):
    model[layer].requires_grad_(True)
    return model


NORMED = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
IN_PLACE = copy.deepcopy(START)
BEFORE = copy.deepcopy(IN_PLACE.state_dict())
IN_PLACE.load_state_dict(MODEL.state_dict())

MODELS = [
    Case(
        "parameters that are no names",
        lambda: values(MODEL, parameters=3),
        "a pattern of parameter names or a list is needed",
        (
            lambda: plausible(values(MODEL, parameters="2.*")),
            lambda: same(values(MODEL, parameters=["2.weight", "2.bias"]), values(MODEL, parameters="2.*")),
        ),
    ),
    Case(
        "parameters that nothing is called by",
        lambda: values(MODEL, parameters="2.wieght"),
        "(did you mean '2.weight'?)",
        (lambda: plausible(values(MODEL, parameters="2.weight")),),
    ),
    Case(
        "parameters of a module that has none",
        lambda: values(Empty(), parameters="head", unlearner="function"),
        "leave it out",
        (lambda: TrainedModule(Empty(), cross_entropy).outputs(Empty(), TX).sum().isfinite(),),
    ),
    Case(
        "parameters that are frozen",
        lambda: values(frozen(0), parameters="0.*"),
        "name others, or set requires_grad of those that training changed",
        (
            lambda: same(values(frozen(0), parameters="2.*"), values(MODEL, parameters="2.*")),
            lambda: same(values(trainable(frozen(0), 0), parameters="0.*"), values(MODEL, parameters="0.*")),
        ),
    ),
    Case(
        "a scripted module",
        lambda: values(scripted()),
        "pass the nn.Module that it was made from, after load_state_dict(scripted.state_dict()) where that was trained",
        (lambda: same(values(MODEL), PLAIN), lambda: same(from_script(), PLAIN)),
    ),
    Case(
        "a module that cannot be copied",
        lambda: values(Locked()),
        "drop what is not part of the model, such as locks and open files, or leave it out in its __getstate__",
        (
            lambda: plausible(values(Locked(lock=False))),
            lambda: same(values(LeftOut()), values(Locked(lock=False))),
        ),
    ),
    Case(
        "a wrapped layer",
        lambda: values(wrapped(MODEL), fit=Recipe(init=wrapped(START))),
        "put its .module in its place before you pass the model (and in the initial one, where fit knows that)",
        (
            lambda: same(values(unwrapped(wrapped(MODEL))), PLAIN),
            lambda: same(
                retrained(Recipe(lr=0.05, epochs=3, init=unwrapped(wrapped(START))), unwrapped(wrapped(MODEL))),
                RETRAINED,
            ),
        ),
    ),
    Case(
        "outputs and something else",
        lambda: values(Pair(MODEL)),
        "wrap the model in a module that returns its outputs alone",
        (lambda: same(values(First(Pair(MODEL))), PLAIN),),
    ),
    Case(
        "half precision",
        lambda: values(copy.deepcopy(MODEL).half()),
        "pass copy.deepcopy(model).float()",
        (lambda: same(values(copy.deepcopy(copy.deepcopy(MODEL).half()).float()), PLAIN, atol=1e-2),),
    ),
    Case(
        "rows that no object takes",
        lambda: values(DecisionTreeClassifier().fit(X, Y), (X, X), Y, (XT, XT), YT),
        "but a model with fit and predict takes one array",
        (lambda: plausible(values(DecisionTreeClassifier(random_state=0).fit(X, Y))),),
    ),
    Case(
        "what is no model",
        lambda: values(DecisionTreeClassifier),
        "a torch.nn.Module or an object with fit and predict is needed",
        (
            lambda: same(values(MODEL), PLAIN),
            lambda: plausible(values(DecisionTreeClassifier(random_state=0).fit(X, Y))),
        ),
    ),
    Case(
        "an operation without a second derivative",
        lambda: values(Tokens(), BAGS, Y, BAGS_T, YT, unlearner="newton"),
        "use an unlearner that needs gradients alone, such as 'finetune'",
        (lambda: plausible(values(Tokens(), BAGS, Y, BAGS_T, YT, unlearner="finetune")),),
    ),
    Case(
        "initial parameters that are the trained ones",
        lambda: values(IN_PLACE, unlearner="influence", fit=Recipe(init=IN_PLACE)),
        "pass a copy from before training, copy.deepcopy(model.state_dict()), since training changes a module in place",
        (lambda: plausible(values(IN_PLACE, unlearner="influence", fit=Recipe(init=BEFORE))),),
    ),
]

RECIPES = [
    Case(
        "an optimiser that is misspelt",
        lambda: Recipe("sdg"),
        "(did you mean 'sgd'?)",
        (lambda: plausible(retrained(Recipe("sgd", init=START))),),
    ),
    Case(
        "an option that is misspelt",
        lambda: Recipe("sgd", options={"momentun": 0.9}),
        "(did you mean 'momentum'?): options are further keywords of its torch.optim class",
        (lambda: plausible(retrained(Recipe("sgd", options={"momentum": 0.9}, init=START))),),
    ),
    Case(
        "options in a list",
        lambda: Recipe("sgd", options=["momentum"]),
        "a dict of keywords is needed",
        (lambda: plausible(retrained(Recipe("sgd", options={"momentum": 0.9}, init=START))),),
    ),
    Case(
        "a learning rate among the options",
        lambda: Recipe("adam", options={"lr": 0.05}),
        "give lr=.",
        (lambda: same(retrained(Recipe("adam", lr=0.05, epochs=3, init=START)), RETRAINED),),
    ),
    Case(
        "iterations among the options",
        lambda: Recipe("lbfgs", options={"max_iter": 5}),
        "give epochs=.",
        (one_by_one,),
    ),
    Case(
        "an option with an impossible value",
        lambda: Recipe("sgd", options={"momentum": -1.0}),
        "optimizer 'sgd' cannot have such options: Invalid momentum value: -1.0.",
        (lambda: plausible(retrained(Recipe("sgd", options={"momentum": 0.9}, init=START))),),
    ),
    Case(
        "a schedule that is misspelt",
        lambda: Recipe(schedule="linar"),
        "(did you mean 'linear'?)",
        (lambda: plausible(retrained(Recipe(lr=0.05, epochs=3, schedule="linear", init=START))),),
    ),
    Case(
        "a schedule without steps",
        lambda: Recipe("lbfgs", schedule="linear"),
        "leave them out.",
        (one_by_one,),
    ),
    Case(
        "initial parameters in a list",
        lambda: Recipe(init=list(START.parameters())),
        "a state dict or a module is needed",
        (
            lambda: same(retrained(Recipe(lr=0.05, epochs=3, init=START.state_dict())), RETRAINED),
            lambda: same(retrained(Recipe(lr=0.05, epochs=3, init=START)), RETRAINED),
        ),
    ),
    Case(
        "initial parameters in arrays",
        lambda: Recipe(init={name: p.numpy() for name, p in START.state_dict().items()}),
        "pass model.state_dict() from before training",
        (lambda: same(retrained(Recipe(lr=0.05, epochs=3, init=START.state_dict())), RETRAINED),),
    ),
    Case(
        "a penalty for what is not there",
        lambda: retrained(Recipe(l2={"0.wieght": 1.0}, init=START)),
        "(did you mean '0.weight'?)",
        (lambda: plausible(retrained(Recipe(l2={"0.weight": 1.0}, init=START))),),
    ),
    Case(
        "initial parameters of another module",
        lambda: retrained(Recipe(init=nn.DataParallel(START).state_dict())),
        "pass the state dict that the model had before training (of the module inside, where it was wrapped)",
        (
            lambda: same(retrained(Recipe(lr=0.05, epochs=3, init=START.state_dict())), RETRAINED),
            lambda: same(
                retrained(Recipe(lr=0.05, epochs=3, init=nn.DataParallel(START).module.state_dict())), RETRAINED
            ),
        ),
    ),
    Case(
        "initial parameters that nobody can draw",
        lambda: retrained(Recipe(epochs=3), trained(Own())),
        "pass fit=Recipe(init=...) with the state dict before training",
        (lambda: plausible(retrained(Recipe(epochs=3, init=Own().state_dict()), trained(Own()))),),
    ),
    Case(
        "batches of one row",
        lambda: trained(NORMED, batch_size=1),
        "give the batch_size that the model was trained with",
        (lambda: plausible(trained(NORMED, batch_size=8)(TX).detach().numpy()),),
    ),
    Case(
        "a recipe that is none",
        lambda: values(MODEL, fit="adam"),
        "a Recipe or a dict of its settings is needed",
        (
            lambda: same(retrained(Recipe(lr=0.05, epochs=3, init=START)), RETRAINED),
            lambda: same(retrained({"lr": 0.05, "epochs": 3, "init": START}), RETRAINED),
        ),
    ),
    Case(
        "a setting that is misspelt",
        lambda: resolve_recipe({"epoch": 3}),
        "(did you mean 'epochs'?)",
        (lambda: same(retrained({"lr": 0.05, "epochs": 3, "init": START}), RETRAINED),),
    ),
]


def lent(work):
    """Lend a model and data to some work, and tell what it returns."""
    model, data = TrainedModule(network(), cross_entropy), torch.ones(3)
    with guard(model, lambda: [data]):
        return work(model.model, data)


def zeroed(module):
    with torch.no_grad():
        module[0].weight.zero_()
    return float(module[0].weight.detach().sum())


def drawn(seed):
    return float(torch.rand(1, generator=torch.Generator().manual_seed(seed)))


GUARDS = [
    Case(
        "a change of the model that was lent",
        lambda: lent(lambda model, data: zeroed(model)),
        "work on a copy",
        (lambda: lent(lambda model, data: zeroed(copy.deepcopy(model))) == 0.0,),
    ),
    Case(
        "a change of the data that were lent",
        lambda: lent(lambda model, data: data.add_(1)),
        "work on copies",
        (lambda: lent(lambda model, data: data.clone().add_(1)).sum() == 6,),
    ),
    Case(
        "a draw from the global generator",
        lambda: lent(lambda model, data: torch.rand(1)),
        "draw from one that coalition_seed seeds",
        (lambda: lent(lambda model, data: drawn(7)) == drawn(7),),
    ),
]

CASES = [*MODELS, *RECIPES, *GUARDS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
