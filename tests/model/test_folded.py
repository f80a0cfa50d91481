"""Modules folded over copies of their parameters, against the plain call of each copy."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from bits import assert_same_bits
from torch import nn
from torch.func import functional_call

from unshap_plugin.losses import LOSSES, cross_entropy
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.folded import FoldedModule
from unshap_plugin.model.rows import arguments, map_rows


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x):
        return self.last(self.norm(x + F.relu(self.first(x)) * self.scale).view(x.size(0), -1))


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.numbers, self.words = nn.Linear(6, 4), nn.Embedding(5, 4)

    def forward(self, x, word):
        return torch.cat([self.numbers(x), self.words(word)], dim=1)


class Wide(nn.Module):
    """Rows come back once more after a layer, and a part is frozen."""

    def __init__(self):
        super().__init__()
        self.frozen, self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 5), nn.Linear(11, 3)
        self.frozen.requires_grad_(False)

    def forward(self, x):
        return self.last(torch.cat([torch.tanh(self.first(self.frozen(x))), x], dim=1))


def tied():
    module = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3))
    module[2].weight = module[0].weight
    return module


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, groups=2, bias=False),
        nn.GroupNorm(2, 6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


def series():
    return nn.Sequential(nn.Conv1d(2, 3, 2, stride=2), nn.Flatten(), nn.LogSoftmax(1))


def flat(rows=7):
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def images(rows=7):
    return torch.randn(rows, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


FOLDED = {
    "linear": (lambda: nn.Linear(6, 3), flat),
    "one output": (lambda: nn.Linear(6, 1), flat),
    "no bias, softmax": (lambda: nn.Sequential(nn.Linear(6, 3, bias=False), nn.Softmax(-1)), flat),
    "deep": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)), flat),
    "batch norm": (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2)), flat),
    "residual": (Residual, flat),
    "tied": (tied, flat),
    "frozen": (Wide, flat),
    "convolutional": (convolutional, images),
    "one dimension": (series, lambda: images()[:, :, 0]),
    "several inputs": (Embedded, lambda: {"x": flat(), "word": torch.tensor([0, 1, 4, 2, 2, 0, 3])}),
}
EVERY = pytest.mark.parametrize(("make", "rows"), FOLDED.values(), ids=FOLDED)


def prepared(make, m):
    torch.manual_seed(0)
    module = make().double().eval()
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    given = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    return module, {name: p + 0.3 * torch.randn(m, *p.shape, dtype=p.dtype) for name, p in given.items()}


@EVERY
@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("own", [False, True])
def test_outputs_and_gradients_are_those_of_each_copy(make, rows, m, own):
    module, theta = prepared(make, m)
    x = rows()
    folded = FoldedModule.of(module, x)
    assert isinstance(folded, FoldedModule)
    given = map_rows(lambda t: torch.stack([t.roll(k, 0) for k in range(m)]), x) if own else x
    leaf = {name: p.clone().requires_grad_() for name, p in theta.items()}
    outputs = folded(leaf, given, rows_per_copy=own)
    gradients = torch.autograd.grad(outputs.square().sum(), list(leaf.values()))
    for k in range(m):
        one = {name: p[k].clone().requires_grad_() for name, p in theta.items()}
        positional, named = arguments(map_rows(lambda t, k=k: t[k], given) if own else x)
        expected = functional_call(module, one, positional, named)
        torch.testing.assert_close(outputs[k], expected, atol=1e-12, rtol=1e-10)
        parts = torch.autograd.grad(expected.square().sum(), list(one.values()))
        for a, b in zip(gradients, parts, strict=True):
            torch.testing.assert_close(a[k], b, atol=1e-11, rtol=1e-9)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_bit_depends_on_the_other_copies(make, rows, dtype):
    module, theta = prepared(make, 9)
    module = module.to(dtype)
    theta = {name: p.to(dtype) for name, p in theta.items()}
    x = map_rows(lambda t: t.to(dtype) if t.is_floating_point() else t, rows())
    engine = Engine(module, cross_entropy)
    whole = engine.outputs(theta, x)
    for few in (slice(0, 1), slice(3, 5), slice(8, 9)):
        some = engine.outputs({name: p[few] for name, p in theta.items()}, x)
        if "conv" in str(type(module[0] if isinstance(module, nn.Sequential) else module)).lower():
            torch.testing.assert_close(some, whole[few], atol=1e-5, rtol=1e-5)  # whose kernels go by their number
        else:
            assert torch.equal(some, whole[few])
    assert isinstance(engine._folded, FoldedModule)


SMOOTH = [nn.GELU, nn.SiLU, nn.Softplus, nn.ELU, nn.Sigmoid, nn.Mish, nn.Tanh, nn.SELU]


class OfItsOwnForm(nn.Sequential):
    """What the tracer refuses, and ``vmap`` takes."""

    def forward(self, x):
        return super().forward(x) if isinstance(x, torch.Tensor) else None


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy_with_logits", "mse"])
@pytest.mark.parametrize("kind", [nn.Sequential, OfItsOwnForm])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 7, 37])
def test_no_bit_of_smooth_functions_depends_on_the_other_copies(loss, kind, dtype, rows):
    """Torch computes the last numbers of a tensor one by one, and rounds a sigmoid there in another way."""
    generator = torch.Generator().manual_seed(rows)
    layers = [layer for smooth in SMOOTH for layer in (nn.Linear(5, 5), smooth())]
    engine = Engine(kind(*layers, nn.Linear(5, 3), nn.Linear(3, 1), nn.Linear(1, 3)).to(dtype).eval(), LOSSES[loss])
    theta = {name: torch.randn(23, *p.shape, generator=generator, dtype=dtype) for name, p in engine.theta0.items()}
    x = torch.randn(rows, 5, generator=generator, dtype=dtype)
    y = torch.softmax(torch.randn(rows, 3, generator=generator, dtype=dtype), dim=1)
    weights = torch.rand(23, rows, generator=generator, dtype=dtype)
    outputs, losses = engine.outputs(theta, x), engine.losses(theta, weights, x, y)
    assert isinstance(engine._folded, FoldedModule) == (kind is nn.Sequential and rows > 1)
    gradients = engine.gradients(theta, weights, x, y)
    own = engine.gradients(theta, weights, x.expand(23, -1, -1), y.expand(23, -1, -1), rows_per_copy=True)
    for few in (slice(0, 1), slice(3, 5), slice(11, 22)):
        some = {name: p[few] for name, p in theta.items()}
        assert_same_bits(engine.outputs(some, x), outputs[few])
        assert_same_bits(engine.losses(some, weights[few], x, y), losses[few])
        for name, found in engine.gradients(some, weights[few], x, y).items():
            assert_same_bits(found, gradients[name][few])
        m = len(weights[few])
        again = engine.gradients(some, weights[few], x.expand(m, -1, -1), y.expand(m, -1, -1), rows_per_copy=True)
        for name, found in again.items():
            assert_same_bits(found, own[name][few])


class OfTheBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        x = self.linear(x)
        return x - x.mean(dim=0)


class Branching(OfTheBatch):
    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else -self.linear(x)


class Bare(OfTheBatch):
    """A parameter that is used outside of a layer."""

    def forward(self, x):
        return x @ self.linear.weight.T


def hooked():
    module = nn.Sequential(nn.Linear(6, 3))
    module[0].register_forward_hook(lambda _layer, _inputs, output: output + 1)
    return module


def replaced():
    module = nn.Sequential(nn.Linear(6, 3))
    module[0].forward = lambda x: 2 * F.linear(x, module[0].weight, module[0].bias)
    return module


OTHERS = {
    "of the batch": OfTheBatch,
    "branching": Branching,
    "bare": Bare,
    "hooked": hooked,
    "replaced": replaced,
    "recurrent": lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.LSTM(3, 3)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)),
    "own activation": lambda: nn.Sequential(nn.Linear(6, 3), nn.PReLU()),
    "statistics of the batch": lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, track_running_stats=False)),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_modules_are_not_folded_and_left_as_they_are(make):
    module = make().double().eval()
    attributes = {name: set(vars(layer)) for name, layer in module.named_modules()}
    state = copy.deepcopy(module.state_dict())
    assert FoldedModule.of(module, flat()) is False
    assert {name: set(vars(layer)) for name, layer in module.named_modules()} == attributes
    assert all(torch.equal(p, state[name]) for name, p in module.state_dict().items())


def test_rows_that_look_at_each_other_are_not_filled_up():
    engine = Engine(OfTheBatch().double().eval(), cross_entropy)
    theta, x = engine.stack(3), flat()
    torch.testing.assert_close(engine.outputs(theta, x)[1], engine.module(x).detach(), atol=1e-12, rtol=0)


def test_one_row_does_not_tell():
    assert FoldedModule.of(nn.Linear(6, 3).double(), flat(1)) is None


def test_activations_that_write_in_place_leave_shared_rows_alone():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)).double()
    x = flat()
    before, engine = x.clone(), Engine(module, cross_entropy)
    engine.outputs(engine.stack(3), x.clone())
    folded = FoldedModule.of(module, x)
    assert torch.equal(x, before), "not even when it is tried"
    assert folded is not None


def test_the_engine_takes_vmap_where_a_module_is_not_folded():
    engine = Engine(Bare().double(), cross_entropy)
    theta = {name: torch.cat([p, 2 * p]) for name, p in engine.stack(1).items()}
    x = flat()
    outputs = engine.outputs(theta, x)
    assert engine._folded is False
    assert engine.batched
    torch.testing.assert_close(outputs[1], 2 * outputs[0], atol=1e-12, rtol=0)
