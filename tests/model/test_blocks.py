"""Passes a block of rows at a time, against passes of all rows at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unshap_plugin.losses import cross_entropy
from unshap_plugin.model import blocks
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.swapped import SwappedModule
from unshap_plugin.support.peak import peak_bytes

M, ROWS, WIDTH = 3, 70, 6


class Opaque(nn.Module):
    """Two layers with code that no tracer follows."""

    rows_multiple = 32

    def __init__(self):
        super().__init__()
        self.first, self.rest = nn.Linear(WIDTH, 40), nn.Sequential(nn.Linear(40, 40), nn.Tanh())
        self.last = nn.Linear(40, 3)

    def forward(self, x):
        if not torch.isfinite(x).all():
            raise ValueError("not finite")
        return self.last(self.rest(torch.tanh(self.first(x))))


class Again(Opaque):
    runs_again = ("rest",)


def engine_of(kind=Opaque, dtype=torch.float64):
    torch.manual_seed(0)
    return Engine(kind().to(dtype).eval(), cross_entropy)


@pytest.fixture
def small(monkeypatch):
    """Blocks of as few rows as there can be: 32."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)


def case(engine, *, own=False, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    theta = {name: p + 0.3 * torch.randn(p.shape, generator=generator).to(p) for name, p in engine.stack(M).items()}
    rows = (M, ROWS) if own else (ROWS,)
    x = torch.randn(*rows, WIDTH, generator=generator).to(dtype)
    y = torch.randint(3, rows, generator=generator)
    return theta, torch.rand(M, ROWS, generator=generator).to(dtype), x, y


def shaped(losses, weights, levels):
    return weights * (losses - levels).square()


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("levelled", [False, True])
@pytest.mark.parametrize("kind", [Opaque, Again])
def test_gradients_are_those_of_all_rows_at_once_and_of_the_loop(small, own, levelled, kind):
    engine = engine_of(kind)
    theta, weights, x, y = case(engine, own=own)
    more = {"shape": shaped, "levels": torch.linspace(0, 1, ROWS).double().expand(y.shape)} if levelled else {}
    assert len(engine._blocks(x, own)) == 3
    found = engine.gradients(theta, weights, x, y, rows_per_copy=own, **more)
    engine.batched = False
    expected = engine.gradients(theta, weights, x, y, rows_per_copy=own, **more)
    for name, p in expected.items():
        torch.testing.assert_close(found[name], p)
        assert p.abs().max() > 1e-3


def test_outputs_and_losses_are_those_of_all_rows_at_once(small):
    engine = engine_of()
    theta, weights, x, y = case(engine)
    assert len(engine._blocks(x, gradients=False)) == 3
    outputs, losses = engine.outputs(theta, x), engine.losses(theta, weights, x, y)
    with torch.no_grad():
        given = engine.call(engine.theta0, x)
        torch.testing.assert_close(given, engine.module(x))
    engine.batched = False
    torch.testing.assert_close(outputs, engine.outputs(theta, x))
    torch.testing.assert_close(losses, engine.losses(theta, weights, x, y))


@pytest.mark.parametrize("kind", [Opaque, Again])
def test_not_a_bit_depends_on_how_many_copies_there_are(small, kind):
    engine = engine_of(kind, torch.float32)
    theta, weights, x, y = case(engine, own=True, dtype=torch.float32)
    together = engine.gradients(theta, weights, x, y, rows_per_copy=True)
    outputs = engine.outputs(theta, x[0])
    for k in range(M):
        one = {name: p[k : k + 1] for name, p in theta.items()}
        alone = engine.gradients(one, weights[k : k + 1], x[k : k + 1], y[k : k + 1], rows_per_copy=True)
        assert all(torch.equal(alone[name][0], p[k]) for name, p in together.items())
        assert torch.equal(engine.outputs(one, x[0])[0], outputs[k])


def test_a_large_block_takes_all_rows():
    engine = engine_of()
    x = case(engine)[2]
    assert engine._blocks(x) == [slice(0, ROWS)]


def test_what_is_estimated_for_a_coalition_is_about_what_it_takes(small):
    engine = engine_of()
    theta, weights, x, y = case(engine)
    assert isinstance(engine._form(x), SwappedModule)
    assert engine.in_blocks(x)
    taken = peak_bytes(lambda: engine.gradients(theta, weights, x, y))
    assert taken / 4 < M * engine.bytes_per_coalition(x) < 12 * taken
    assert engine.bytes_per_coalition(x, gradients=False) <= engine.bytes_per_coalition(x)


def test_what_runs_again_is_not_kept(small):
    """Of a part of several layers, what it is given remains."""

    class Deep(Opaque):
        rows_multiple = 256

        def __init__(self):
            super().__init__()
            parts = ([nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh()] for _ in range(5))
            self.rest = nn.Sequential(*(nn.Sequential(*part) for part in parts))

    class Rerun(Deep):
        runs_again = tuple(f"rest.{k}" for k in range(5))

    x = torch.randn(256, WIDTH)
    each = []
    for kind in (Deep, Rerun):
        engine = engine_of(kind, torch.float32)
        form = engine._form(x)
        assert isinstance(form, SwappedModule)
        each.append(engine._row_blocks.bytes_of_a_row(form, engine.theta0, x))
    assert each[1] < 0.9 * each[0]
