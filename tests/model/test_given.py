"""Modules as people bring them: normed, wrapped, compiled, of half precision, and with outputs that are no tensor."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.model.given import copied
from unshap_plugin.plugin import UnlearnerSpec

GROUPS = np.repeat(np.arange(4), [3, 5, 6, 4])


def data(seed=0, rows=18, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype(dtype)
    return x, (x[:, 0] + 0.5 * x[:, 1] > 0).astype(int)


TRAIN, TEST = data(), data(1, 20)


def valued(model, unlearner="auto", train=TRAIN, test=TEST, **problem):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*cannot be retrained for many coalitions at once")
        return value(model, train, test, groups=GROUPS, unlearner=unlearner, estimator="exact", **problem)


def by_definition(utility, n=4):
    """The Shapley values of a utility of sets of players, each term written out."""
    values = np.zeros(n)
    for player in range(n):
        others = [one for one in range(n) if one != player]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for chosen in itertools.combinations(others, size):
                values[player] += weight * (utility({*chosen, player}) - utility(set(chosen)))
    return values


def retrained(recipe, start, given, log_likelihood):
    """Utilities by plain training of the start on the rows of each set, one after the other."""
    x, y = torch.as_tensor(TRAIN[0]), torch.as_tensor(TRAIN[1])

    def utility(players):
        if len(players) == 4:
            return log_likelihood(given)
        model = copied(start).train()
        rows = np.isin(GROUPS, list(players))
        optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
        for order in recipe.orders(len(x), 0) if players else ():
            for batch in torch.as_tensor(order[rows[order]]).split(recipe.batch_size):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
        return log_likelihood(model)

    return utility


def log_likelihood(model):
    with torch.no_grad():
        log_p = model.eval()(torch.as_tensor(TEST[0])).log_softmax(dim=1)
    return float(log_p[torch.arange(len(TEST[1])), torch.as_tensor(TEST[1])].mean())


# Weights that are computed from others: such a module holds a tensor with a history.

NORMS = {
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "new weight_norm": nn.utils.parametrizations.weight_norm,
    "new spectral_norm": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
}


def normed(norm, seed=0):
    """The start of a training, and what 8 steps made of it: the last forward has left its history in the module."""
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 3).double(), nn.Tanh(), nn.Linear(3, 2).double()]
    layers[0] = norm(layers[0])
    start = nn.Sequential(*layers).double()
    model = copied(start)
    x, y = torch.as_tensor(TRAIN[0]), torch.as_tensor(TRAIN[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(8):
        optimizer.zero_grad()
        cross_entropy(model(x), y).mean().backward()
        optimizer.step()
    return start, model


def content(model):
    """Everything that the module holds, and which tensors these are."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    held = [id(one) for layer in model.modules() for one in vars(layer).values() if isinstance(one, torch.Tensor)]
    return state, held, [layer.training for layer in model.modules()]


def one_by_one(model, unlearner, **problem):
    """The values by the loop of ordinary autograd, one coalition after the other."""
    asked = ValuationProblem(model, TRAIN, TEST, groups=GROUPS, **problem)
    asked.engine.batched = False
    return shapley_values(UnlearningGame(asked, unlearner, chunk=1), "exact").values


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("passed", ["straight after training", "without gradients", "evaluated"])
def test_a_normed_module_is_valued_and_left_alone(name, passed):
    start, model = normed(NORMS[name])
    twin = copied(start)
    twin.load_state_dict(model.state_dict())
    if passed == "evaluated":
        model.eval()
    if passed != "straight after training":
        with torch.no_grad():
            model(torch.zeros(1, 4).double())
        twin.load_state_dict(model.state_dict())  # a spectral norm takes a step in training mode
    before = content(model)
    result = valued(model, "finetune")
    after = content(model)
    assert all(torch.equal(one, before[0][key]) for key, one in after[0].items())
    assert after[1:] == before[1:]
    assert result.utility_all == pytest.approx(log_likelihood(twin), abs=1e-12)
    np.testing.assert_allclose(result.values, one_by_one(model, "finetune"), atol=1e-9, rtol=0)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("name", NORMS)
def test_a_normed_module_is_retrained_as_it_was_trained(name):
    start, _ = normed(NORMS[name])
    recipe = Recipe("adam", lr=0.05, epochs=3, batch_size=6, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(TRAIN[0]), torch.as_tensor(TRAIN[1]))
    if not hasattr(model[0], "parametrizations"):  # as a training of the user's own would leave it
        model.train()(torch.as_tensor(TRAIN[0]))
    given = copied(start)
    given.load_state_dict(model.state_dict())
    expected = by_definition(retrained(recipe, start, given, log_likelihood))
    np.testing.assert_allclose(valued(model, "retrain", fit=recipe).values, expected, atol=1e-9, rtol=0)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("name", NORMS)
def test_a_normed_layer_cannot_draw_its_own_start(name):
    """Its reset_parameters draws the weight that is computed: the parameters would stay the trained ones."""
    _, model = normed(NORMS[name])
    with pytest.raises(
        InvalidValueError, match=r"initial parameters are not known and .* cannot draw its own"
    ) as error:
        valued(model, "retrain", fit=Recipe(epochs=1))
    assert "pass fit=Recipe(init=...)" in str(error.value)


def test_a_single_normed_layer_is_no_linear_model():
    """Its outputs are not linear in its parameters, whatever its class is called."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.utils.weight_norm(nn.Linear(4, 2).double())
    cross_entropy(model(torch.as_tensor(TRAIN[0])), torch.as_tensor(TRAIN[1])).mean().backward()
    assert valued(model).unlearner == "graddiff"
    recipe = Recipe(init=copied(model))  # at zero, where newton would begin, there is no direction to norm
    with torch.no_grad():
        model.weight_v += 0.1
    got = valued(model, "newton", fit=recipe).values
    np.testing.assert_allclose(got, one_by_one(model, "newton", fit=recipe), atol=1e-9, rtol=0)


class Remembers(nn.Module):
    """Keeps what it computed last, in several ways."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2).double()
        self.last, self.all, self.calls = None, {}, 0

    def forward(self, x):
        self.last = self.layer(x)
        self.all["outputs"] = [self.last]
        self.calls += 1
        return 1 * self.last


def test_a_module_that_keeps_activations():
    torch.manual_seed(0)
    model = Remembers()
    plain = copy.deepcopy(model.layer)
    model(torch.as_tensor(TRAIN[0]))
    before = content(model)
    result = valued(model)
    assert content(model)[1:] == before[1:]
    assert model.calls == 1
    np.testing.assert_allclose(result.values, valued(plain).values, atol=1e-12, rtol=0)


# Wrappers are taken off, or named.


def network(dtype=torch.float64):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)


def trained(start, epochs=3):
    recipe = Recipe("adam", lr=0.05, epochs=epochs, batch_size=6, init=start)
    dtype = next(start.parameters()).dtype
    return recipe, recipe.train(start, cross_entropy, torch.as_tensor(TRAIN[0], dtype=dtype), torch.as_tensor(TRAIN[1]))


def compiled(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch.compile imports
        return torch.compile(module)


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "compile": compiled,
    "both": lambda module: compiled(nn.DataParallel(module)),
}


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("unlearner", ["auto", "retrain", "finetune"])
def test_a_wrapper_is_taken_off(wrap, unlearner):
    start = network()
    recipe, model = trained(start)
    expected = valued(model, unlearner, fit=recipe)
    wrapped, wrapped_start = WRAPPERS[wrap](model), WRAPPERS[wrap](network())
    got = valued(wrapped, unlearner, fit=Recipe("adam", lr=0.05, epochs=3, batch_size=6, init=wrapped_start))
    np.testing.assert_array_equal(got.values, expected.values)
    assert got.reasons == expected.reasons, "the model is called by its own name"
    again = recipe.train(wrapped_start, cross_entropy, torch.as_tensor(TRAIN[0]), torch.as_tensor(TRAIN[1]))
    assert torch.equal(again[0].weight, model[0].weight)


def test_distributed_data_parallel(tmp_path):
    if not torch.distributed.is_available():
        return
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        recipe, model = trained(network())
        wrapped = nn.parallel.DistributedDataParallel(model)
        np.testing.assert_array_equal(valued(wrapped, fit=recipe).values, valued(model, fit=recipe).values)
    finally:
        torch.distributed.destroy_process_group()


def test_the_state_of_a_wrapper_is_no_state_of_the_module():
    start = network()
    recipe, model = trained(start)
    state = nn.DataParallel(start).state_dict()
    with pytest.raises(InvalidValueError, match=r"init lacks '0.weight' \(did you mean 'module.0.weight'\?\).*inside"):
        valued(model, "retrain", fit=Recipe("adam", lr=0.05, epochs=3, batch_size=6, init=state))
    inside = nn.DataParallel(start).module.state_dict()
    got = valued(model, "retrain", fit=Recipe("adam", lr=0.05, epochs=3, batch_size=6, init=inside))
    np.testing.assert_array_equal(got.values, valued(model, "retrain", fit=recipe).values)


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_a_wrapped_layer_is_named_and_the_advice_helps(wrap):
    _, model = trained(network())
    expected = valued(model)
    model[0] = wrap(model[0])
    attribute = "module" if wrap is nn.DataParallel else "_orig_mod"
    with pytest.raises(
        InvalidTypeError, match=rf"layer '0' of the model is a \w+, .* put its \.{attribute} in its place"
    ):
        valued(model)
    model[0] = getattr(model[0], attribute)
    np.testing.assert_array_equal(valued(model).values, expected.values)


def test_a_module_that_compiles_itself():
    if not hasattr(nn.Module, "compile"):
        return  # came with torch 2.2
    _, model = trained(network())
    expected = valued(model)
    model.compile()
    np.testing.assert_array_equal(valued(model).values, expected.values)


@pytest.mark.parametrize("how", ["script", "trace", "script of a layer"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
def test_torch_jit_is_refused_and_the_advice_helps(how):
    start = network()
    _, model = trained(start)
    if how == "trace":
        scripted = torch.jit.trace(model, torch.as_tensor(TRAIN[0]))
    else:
        scripted = torch.jit.script(model) if how == "script" else nn.Sequential(torch.jit.script(model[0]), *model[1:])
    what = "the model" if how != "script of a layer" else "layer '0' of the model"
    with pytest.raises(
        InvalidTypeError, match=f"^{what} was made by torch.jit, .*pass the nn.Module that it was made from"
    ):
        valued(scripted)
    plain = start
    plain.load_state_dict(scripted.state_dict())
    np.testing.assert_array_equal(valued(plain).values, valued(model).values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("unlearner", ["auto", "newton", "retrain"])
def test_half_precision_is_refused_and_the_advice_helps(dtype, unlearner):
    start = network(torch.float32)
    recipe, model = trained(start)
    half = copy.deepcopy(model).to(dtype)
    with pytest.raises(
        InvalidTypeError, match=rf"parameter '0.weight' is {dtype}, .* pass copy.deepcopy\(model\).float\(\)"
    ):
        valued(half, unlearner, fit=recipe)
    got = valued(copy.deepcopy(half).float(), unlearner, fit=recipe)
    exact = copy.deepcopy(half).float().double()
    assert got.utility_all == pytest.approx(log_likelihood(exact), abs=1e-5)
    assert half[0].weight.dtype == dtype


def test_a_frozen_body_of_half_precision():
    """Only what is unlearned takes small steps."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 3).bfloat16(), nn.Linear(3, 2).double()

        def forward(self, x):
            return self.head(torch.tanh(self.body(x.bfloat16()).double()))

    torch.manual_seed(0)
    model = Mixed()
    result = valued(model, "newton", parameters="head")
    features = torch.tanh(model.body(torch.as_tensor(TRAIN[0]).bfloat16()).double()).detach()
    tested = torch.tanh(model.body(torch.as_tensor(TEST[0]).bfloat16()).double()).detach()
    alone = valued(model.head, "newton", train=(features, TRAIN[1]), test=(tested, TEST[1]))
    np.testing.assert_allclose(result.values, alone.values, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_precision_is_retrained_exactly(dtype):
    start = network(dtype)
    recipe, model = trained(start)
    double = copy.deepcopy(start).double()
    expected = by_definition(retrained(recipe, double, copy.deepcopy(model).double(), log_likelihood))
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(valued(model, "retrain", fit=recipe).values, expected, atol=tolerance, rtol=0)


# Outputs that are no tensor.


class Output(OrderedDict):
    """As in transformers: a mapping whose entries are attributes too."""

    @property
    def logits(self):
        return self["logits"]


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: torch.Tensor


FORMS = {
    "dict": lambda z: {"hidden": z, "logits": z},
    "ModelOutput": lambda z: Output(loss=None, logits=z),
    "dataclass": lambda z: Answer(logits=z, hidden=2 * z),
    "namedtuple": lambda z: Named(z, z),
}
Named = namedtuple("Named", ["logits", "hidden"])


class Wrapped(nn.Module):
    def __init__(self, module, form):
        super().__init__()
        self.inner, self.form = module, form

    def forward(self, x):
        return FORMS[self.form](self.inner(x))


@functools.cache
def values_of_tensors(made, unlearner):
    recipe, model = trained(made())
    return valued(model, unlearner, fit=recipe).values.copy()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("unlearner", ["auto", "newton", "influence", "retrain", "replay"])
@pytest.mark.parametrize("made", [network, lambda: network()[0]])
def test_logits_are_understood(form, unlearner, made):
    recipe, wrapped = trained(Wrapped(made(), form))
    got = valued(wrapped, unlearner, fit=recipe)
    np.testing.assert_allclose(got.values, values_of_tensors(made, unlearner), atol=1e-12, rtol=0)


def test_outputs_without_logits_are_named():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            return self.inner(x), x

    with pytest.raises(InvalidTypeError, match=r"returned a tuple, but a tensor \[rows, ...\] is needed"):
        valued(Pair())


class View(nn.Module):
    """Answers a parameter: there is nothing in it that a copy was made of."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor([0.25], dtype=torch.float64))

    def forward(self, x):
        return self.level.expand(len(x))


@pytest.mark.parametrize("unlearner", ["auto", "finetune", "newton", "retrain"])
def test_an_output_may_be_a_view_of_a_parameter(unlearner):
    recipe = Recipe("sgd", lr=0.25, epochs=1, batch_size=None, init=View())
    train, test = (TRAIN[0], TRAIN[0][:, 0]), (TEST[0], TEST[0][:, 0])
    model = recipe.train(View(), mse, *map(torch.as_tensor, train))
    result = valued(model, unlearner, train=train, test=test, loss="mse", fit=recipe)
    assert np.isfinite(result.values).all()
    if unlearner == "retrain":

        def utility(players):
            rows = np.isin(GROUPS, list(players))
            level = 0.25 + 0.5 * (train[1][rows].mean() - 0.25) if players else 0.25
            return -np.mean((level - test[1]) ** 2)

        np.testing.assert_allclose(result.values, by_definition(utility), atol=1e-12, rtol=0)


# Gradients that are sparse, and forwards that write in place.


class Embedded(nn.Module):
    def __init__(self, bag=False, **kwargs):
        super().__init__()
        self.table = (nn.EmbeddingBag if bag else nn.Embedding)(6, 3, **kwargs).double()
        self.head = nn.Linear(3, 2).double()

    def forward(self, x):
        return self.head(self.table(x))


TOKENS = (np.arange(18) * 5 % 6, TRAIN[1]), (np.arange(20) * 7 % 6, TEST[1])
PAIRS = tuple((np.stack([x, 5 - x], axis=1), y) for x, y in TOKENS)


@pytest.mark.parametrize("unlearner", ["auto", "finetune", "newton", "influence", "retrain", "replay", "ssd"])
@pytest.mark.parametrize("bag", [False, True])
def test_sparse_gradients_are_those_of_the_dense_twin(bag, unlearner):
    if bag and unlearner in ("newton", "influence"):
        with pytest.raises(
            InvalidValueError, match="Embedded has an operation of which torch knows no second derivative"
        ):
            valued(Embedded(bag), unlearner, train=PAIRS[0], test=PAIRS[1])
        unlearner = "finetune"  # which the error names
    train, test = PAIRS if bag else TOKENS
    values = []
    for sparse in (False, True):
        torch.manual_seed(1)
        start = Embedded(bag, sparse=sparse)
        recipe = Recipe("adam", lr=0.05, epochs=2, batch_size=6, init=start)
        model = recipe.train(start, cross_entropy, *map(torch.as_tensor, train))
        model.table.sparse = sparse
        values.append(valued(model, unlearner, train=train, test=test, fit=recipe).values)
        assert (model.table.sparse, start.table.sparse) == (sparse, sparse)
    np.testing.assert_array_equal(values[0], values[1])


def test_an_embedding_with_max_norm_is_named_and_the_advice_helps():
    torch.manual_seed(0)
    model = Embedded(max_norm=0.5)
    for unlearner in ("auto", "newton"):
        with pytest.raises(
            InvalidValueError, match=r"forward of Embedded changes 'table.weight' in place.*max_norm"
        ) as error:
            valued(model, unlearner, train=TOKENS[0], test=TOKENS[1])
        assert "unlearner" not in str(error.value)
    assert float(model.table.weight.detach().norm(dim=1).max()) > 0.5, "the given model was not touched"
    with torch.no_grad():
        model(torch.arange(6))
    model.table.max_norm = None
    assert np.isfinite(valued(model, train=TOKENS[0], test=TOKENS[1]).values).all()


class Counts(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.layer, self.what = nn.Linear(4, 2).double(), what
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        if self.what == "buffer":
            self.count += 1
        if self.what == "parameter":
            with torch.no_grad():
                self.layer.weight.clamp_(-0.01, 0.01)
        if self.what == "in training" and self.training:
            self.count += 1
        return self.layer(x)


@pytest.mark.parametrize(("what", "named"), [("buffer", "count"), ("parameter", "layer.weight")])
def test_a_forward_that_writes_in_place_is_named(what, named):
    torch.manual_seed(0)
    with pytest.raises(
        InvalidValueError, match=f"forward of Counts changes '{named}' in place, also in evaluation mode"
    ):
        valued(Counts(what), "finetune")


def test_a_forward_that_writes_in_training_alone_is_fine():
    torch.manual_seed(0)
    model = Counts("in training")
    np.testing.assert_allclose(valued(model).values, valued(model.layer).values, atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_function_gets_a_normed_module_that_it_can_copy():
    """As often as it is called, and whatever it left in the last one."""

    def climb(model, forget, *, loss):
        model = copy.deepcopy(model)
        loss(model(forget[0]), forget[1]).mean().backward()
        with torch.no_grad():
            for p in model.parameters():
                p += 0.05 * p.grad
        return model

    _, model = normed(NORMS["weight_norm"])
    unlearner = UnlearnerSpec.from_function(climb, summary="one step", source="a test").factory()
    result = valued(model, unlearner)

    def utility(players):
        other = copied(model)
        rows = torch.as_tensor(~np.isin(GROUPS, list(players)))
        if rows.any():
            other.zero_grad()
            cross_entropy(other(torch.as_tensor(TRAIN[0])[rows]), torch.as_tensor(TRAIN[1])[rows]).mean().backward()
            with torch.no_grad():
                for p in other.parameters():
                    p += 0.05 * p.grad
        return log_likelihood(other)

    np.testing.assert_allclose(result.values, by_definition(utility), atol=1e-9, rtol=0)
