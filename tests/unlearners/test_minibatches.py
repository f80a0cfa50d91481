"""Minibatches of the gradient methods: what holds for all of them. The plain loops are in ``test_first_order.py``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import UNLEARNERS, coalitions, early_stopped

from unshap_plugin import ValuationResult
from unshap_plugin.cli.main import main
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners._displacement import Displaced
from unshap_plugin.unlearners._terms import Term

NAMES = [name for name in UNLEARNERS if isinstance(resolve_unlearner(name), Displaced)]
EVERY = pytest.mark.parametrize("name", NAMES)
ROWS = 9


def parameters(problem, name, matrix, seed=0, batch_size=None):
    models = resolve_unlearner(name, {"batch_size": batch_size}).unlearn(problem, matrix, seed)
    return problem.engine.flatten(models.state)


def test_all_gradient_methods_of_adam_have_them():
    assert len(NAMES) == 10


@EVERY
def test_as_many_as_all_rows_are_all_rows_bit_for_bit(name):
    problem, matrix = early_stopped(torch.float32, hidden=4), coalitions(7, 40)
    whole = parameters(problem, name, matrix, batch_size=None)
    for size in (40, 1000):
        assert torch.equal(parameters(problem, name, matrix, batch_size=size), whole)


@EVERY
@pytest.mark.parametrize("hidden", [0, 4])
def test_order_and_chunk_do_not_change_a_bit(name, hidden):
    problem, matrix = early_stopped(torch.float32, hidden=hidden), coalitions(9, 40)
    matrix[:2] = [np.arange(40) > 0, np.arange(40) == 0]
    whole = parameters(problem, name, matrix, batch_size=6)
    assert torch.equal(whole.flip(0), parameters(problem, name, matrix[::-1].copy(), batch_size=6))
    parts = [matrix[:1], matrix[1:2], matrix[2:5], matrix[5:]]
    assert torch.equal(whole, torch.cat([parameters(problem, name, part, batch_size=6) for part in parts]))


@EVERY
def test_batched_equals_looped(name):
    fast, slow = early_stopped(hidden=4), early_stopped(hidden=4)
    slow.engine.batched = False
    a, b = (parameters(problem, name, coalitions(6, 40), batch_size=6) for problem in (fast, slow))
    torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-8)
    assert fast.engine.batched, "the fast path fell back to the loop"


@EVERY
def test_the_seed_draws_them_and_nothing_else(name, problem):
    matrix = coalitions(6, 40, seed=1)
    one, other = (parameters(problem, name, matrix, seed, batch_size=6) for seed in (0, 1))
    assert torch.equal(one, parameters(problem, name, matrix, 0, batch_size=6))
    # A player of task_vector has one row, and a linear layer gets the minimum from pseudo_background, without steps.
    if name not in ("task_vector", "pseudo_background"):
        assert not torch.equal(one, other)


@EVERY
def test_keeping_everybody_or_nobody(name, problem):
    both = np.array([np.ones(40, dtype=bool), np.zeros(40, dtype=bool)])
    found = parameters(problem, name, both, batch_size=6)
    assert torch.equal(found[0], problem.engine.flatten(problem.engine.stack(1))[0])
    assert torch.isfinite(found[1]).all()


def test_few_forget_rows_are_one_batch():
    """A coalition that forgets no more rows than a batch has takes all of them in every step."""
    problem, matrix = early_stopped(hidden=4), np.arange(40)[None] >= np.array([[1], [6]])
    a, b = (parameters(problem, "gradient_ascent", matrix, batch_size=size) for size in (6, None))
    torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


@settings(max_examples=40)
@given(
    weights=st.lists(st.lists(st.sampled_from([0.0, 0.5, -2.0]), min_size=ROWS, max_size=ROWS), min_size=1, max_size=3),
    size=st.integers(1, ROWS - 1),
    whole=st.booleans(),
    seed=st.integers(0, 5),
)
def test_the_batches_of_an_epoch_are_the_sum_on_average(weights, size, whole, seed):
    """Each row comes once, with its weight times the number of rows for each one in its batch."""
    weights, numbers = torch.tensor(weights), torch.arange(ROWS)
    term = Term(weights, numbers[:, None].float(), numbers, whole=whole)
    batches = list(term.batches(size, 2 * ROWS, seed))
    for k, mine in enumerate(weights):
        count = ROWS if whole else int((mine != 0).sum())
        total = torch.zeros(ROWS)
        for batch in batches[: -(-count // size)]:
            rows = batch.y if whole else batch.y[k]
            assert torch.equal((batch.x if whole else batch.x[k])[:, 0], rows.float())
            taken = batch.weights[k] != 0
            in_batch = len(rows) if whole else int(taken.sum())
            total.index_add_(0, rows[taken], batch.weights[k][taken] * in_batch / count)
        torch.testing.assert_close(total, mine)
        alone = list(Term(mine[None], term.x, term.y, whole=whole).batches(size, 2 * ROWS, seed))
        assert all(torch.equal(a.weights[k], b.weights[0]) for a, b in zip(batches, alone, strict=True))


def test_a_batch_takes_less_memory(problem):
    whole, few = (resolve_unlearner("finetune", {"batch_size": size}).bytes_per_coalition(problem) for size in (40, 4))
    assert few < whole == resolve_unlearner("finetune").bytes_per_coalition(problem)


def test_it_is_a_setting_in_a_shell(tmp_path):
    command = ["value", "--example", "iris", "--model", "mlp", "--unlearner", "finetune", "--budget", "420"]
    assert main([*command, "--setting", "batch_size=32", "--out", str(tmp_path / "values")]) == 0
    result = ValuationResult.from_json((tmp_path / "values" / "result.json").read_text())
    assert result.settings["batch_size"] == 32
