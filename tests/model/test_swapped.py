"""Modules whose trained layers are swapped for stacked ones, against the plain call of each copy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.folded import FoldedModule
from unshap_plugin.model.rows import map_rows
from unshap_plugin.model.swapped import SwappedModule, stacked_form


class LowRank(nn.Module):
    """A frozen layer, and a small one beside it that is trained."""

    def __init__(self, base):
        super().__init__()
        self.base, self.down, self.up = base, nn.Linear(base.in_features, 2, bias=False), nn.Linear(2, 6, bias=False)
        self.base.requires_grad_(False)

    def forward(self, x):
        x = x.to(self.down.weight.dtype)  # asked of the layer that is swapped
        return self.base(x) + self.up(self.down(x))


class Attending(nn.Module):
    """Words that look at each other, by code that no tracer follows; and a dict of rows."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 6).requires_grad_(False)
        self.query, self.value, self.last = LowRank(nn.Linear(6, 6)), LowRank(nn.Linear(6, 6)), nn.Linear(6, 3)
        self.last.requires_grad_(False)

    def forward(self, tokens, scale):
        if tokens.max() > 10:
            raise ValueError("an unknown word")
        x = self.words(tokens)
        x = F.scaled_dot_product_attention(self.query(x), x, self.value(x), is_causal=True)
        self.seen = x
        return self.last(torch.tanh(x).mean(dim=1)) * scale[:, None]


def attending(dtype=torch.float64):
    torch.manual_seed(0)
    return Attending().to(dtype).eval()


def words(rows=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(11, (rows, 5), generator=generator)
    return {"tokens": tokens, "scale": torch.rand(rows, generator=generator).to(dtype)}


def several(module, m):
    generator = torch.Generator().manual_seed(2)
    given = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    return {name: p + torch.randn(m, *p.shape, generator=generator).to(p) for name, p in given.items()}


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("own", [False, True])
def test_outputs_and_gradients_are_those_of_each_copy(m, own):
    module = attending()
    x = words()
    form = stacked_form(module, x)
    assert isinstance(form, SwappedModule)
    given = map_rows(lambda t: torch.stack([t.roll(k, 0) for k in range(m)]), x) if own else x
    leaf = {name: p.requires_grad_() for name, p in several(module, m).items()}
    outputs = form(leaf, given, rows_per_copy=own)
    gradients = torch.autograd.grad(outputs.square().sum(), list(leaf.values()))
    for k in range(m):
        one = {name: p[k].detach().clone().requires_grad_() for name, p in leaf.items()}
        expected = functional_call(module, one, (), map_rows(lambda t, k=k: t[k], given) if own else x)
        torch.testing.assert_close(outputs[k], expected, atol=1e-12, rtol=1e-10)
        parts = torch.autograd.grad(expected.square().sum(), list(one.values()))
        for a, b in zip(gradients, parts, strict=True):
            torch.testing.assert_close(a[k], b, atol=1e-11, rtol=1e-9)


def test_the_engine_takes_it_and_its_loop_gives_the_same():
    module, x, y = attending(), words(), torch.arange(7) % 3
    engine, loop = Engine(module, cross_entropy), Engine(module, cross_entropy)
    loop.batched = False
    theta, weights = several(module, 3), torch.rand(3, 7, dtype=torch.float64)
    for of in (
        lambda one: one.outputs(theta, x),
        lambda one: one.losses(theta, weights, x, y),
        lambda one: one.gradients(theta, weights, x, y),
    ):
        torch.testing.assert_close(of(engine), of(loop), atol=1e-12, rtol=1e-10)
    assert isinstance(engine._folded, SwappedModule)


@pytest.mark.parametrize("own", [False, True])
def test_no_bit_depends_on_the_other_copies(own):
    module, x, y = attending(torch.float32), words(7, torch.float32), torch.arange(7) % 3
    engine, theta = Engine(module, cross_entropy), several(module, 9)
    weights = torch.rand(9, 7, generator=torch.Generator().manual_seed(3))
    outputs = engine.outputs(theta, x)

    def gradients(few):
        m = len(weights[few])
        rows, labels = (map_rows(lambda t: t.expand(m, *t.shape), x), y.expand(m, -1)) if own else (x, y)
        some = {name: p[few] for name, p in theta.items()}
        return engine.gradients(some, weights[few], rows, labels, rows_per_copy=own)

    whole = gradients(slice(None))
    for few in (slice(0, 1), slice(3, 5), slice(8, 9)):
        assert torch.equal(engine.outputs({name: p[few] for name, p in theta.items()}, x), outputs[few])
        for name, found in gradients(few).items():
            assert torch.equal(found, whole[name][few])
    assert isinstance(engine._folded, SwappedModule)


def test_what_is_frozen_is_shared_and_the_module_is_left_as_it_is():
    module = attending()
    before = {name: type(layer) for name, layer in module.named_modules()}
    form = stacked_form(module, words())
    assert isinstance(form, SwappedModule)
    theirs = dict(form._module.named_parameters())
    assert theirs["words.weight"].data_ptr() == module.words.weight.data_ptr()
    assert theirs["query.base.weight"].data_ptr() == module.query.base.weight.data_ptr()
    form(several(module, 2), words())
    assert not hasattr(form._module, "seen"), "nothing of a pass is kept"
    assert {name: type(layer) for name, layer in module.named_modules()} == before


def of_the_rows_given(x):
    """Code that no tracer follows, and ``vmap`` does."""
    return isinstance(x, torch.Tensor)


class Branching(nn.Module):
    def __init__(self, first=None, last=None):
        super().__init__()
        self.first, self.last = first or nn.Linear(6, 6), last or nn.Linear(6, 6)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x))) if of_the_rows_given(x) else x


def tied():
    module = Branching()
    module.last.weight = module.first.weight
    return module


def hooked():
    module = Branching()
    module.last.register_forward_hook(lambda _layer, _inputs, output: output + 1)
    return module


class Bare(Branching):
    """A parameter that is used outside of its layer."""

    def forward(self, x):
        return x @ self.first.weight.T if of_the_rows_given(x) else x


class OfTheBatch(Branching):
    def forward(self, x):
        return super().forward(x) - x.mean(dim=0)


class OfItsAnswers(Branching):
    """Right for every model alone, and for several as long as they go the same way."""

    def forward(self, x):
        out = super().forward(x)
        return out if out.sum() < 1e3 else -out


OTHERS = {
    "of its answers": OfItsAnswers,
    "tied": tied,
    "hooked": hooked,
    "bare": Bare,
    "of the batch": OfTheBatch,
    "an unknown layer": lambda: Branching(nn.Bilinear(6, 6, 6)),
    "in training": lambda: Branching().train(),
    "nothing trained": lambda: Branching().requires_grad_(False),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_modules_have_no_such_form(name):
    module = OTHERS[name]().double()
    module = module if name == "in training" else module.eval()
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert SwappedModule.of(module, x) is False
    assert FoldedModule.of(module, x) is False


def test_one_row_does_not_tell():
    assert SwappedModule.of(Branching().eval(), torch.ones(1, 6)) is None
    assert stacked_form(attending(), words(1)) is None


def test_tied_weights_are_run_as_before():
    module = tied().double().eval()
    module.first.bias.requires_grad_(False)
    engine, x = Engine(module, cross_entropy), torch.ones(4, 6, dtype=torch.float64)
    theta = several(module, 2)
    outputs = engine.outputs(theta, x)
    assert engine._folded is False
    for k in (0, 1):
        expected = functional_call(module, {name: p[k] for name, p in theta.items()}, (x,))
        torch.testing.assert_close(outputs[k], expected)
