"""Batch norm and dropout: unlearned as they predict, retrained as they train."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from problems import UNLEARNERS, breast_cancer, coalitions
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugins.registry import resolve_unlearner

GROUPS = np.array(list("abcdefgh") * 5)
FULL = np.ones((1, 8), dtype=bool)
#: Gradients of batches and of loops differ by round-off, which Adam amplifies where they are small.
TOLERANCE = 1e-6


def mlp():
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2, padding=1), nn.BatchNorm2d(2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip


def made(network):
    (x, y), test = breast_cancer()
    torch.manual_seed(0)
    start = network().double()
    recipe = Recipe("adam", lr=0.03, epochs=3, batch_size=10, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(x), torch.as_tensor(y))
    reference = breast_cancer(seed=5)[1][0][:20] + 0.01
    return ValuationProblem(
        model, (x, y), test, metric="log_likelihood", groups=GROUPS, reference=reference, fit=recipe
    )


def unlearn(problem, name, matrix):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*cannot be retrained for many coalitions at once")
        return resolve_unlearner(name, None).unlearn(problem, matrix, 3)


@pytest.fixture(scope="module", params=[mlp, convolutional])
def problems(request):
    """A problem, and one whose engine takes the loop."""
    fast, slow = made(request.param), made(request.param)
    slow.engine.batched = False
    return fast, slow


@pytest.mark.slow
@pytest.mark.parametrize("name", UNLEARNERS)
def test_batch_norm_and_dropout(name, problems):
    fast, slow = problems
    before = copy.deepcopy(fast.model.state_dict())
    matrix = np.vstack([FULL, ~FULL, coalitions(5, 8)])
    a, b = unlearn(fast, name, matrix), unlearn(slow, name, matrix)
    assert fast.engine.batched, "the fast path fell back to the loop"
    assert all(torch.isfinite(p).all() for p in a.state.values())
    outputs = a.outputs(fast.x_test)
    assert torch.isfinite(outputs).all()
    torch.testing.assert_close(a.engine.flatten(a.state), b.engine.flatten(b.state), atol=TOLERANCE, rtol=TOLERANCE)
    torch.testing.assert_close(outputs, b.outputs(slow.x_test), atol=TOLERANCE, rtol=TOLERANCE)
    for key, value in a.state.items():
        assert torch.equal(value[0], before[key]), "all kept: the given model"
    assert any(not torch.equal(one, value[0]) for value in a.state.values() for one in value[1:])
    assert np.array_equal(UnlearningGame(fast, resolve_unlearner(name, None))(FULL)[0], fast.given_utility)
    assert all(torch.equal(value, before[key]) for key, value in fast.model.state_dict().items())
    assert not any(layer.training for layer in fast.model.modules())
    buffers = [key for key, value in before.items() if key in dict(fast.model.named_buffers())]
    assert len(buffers) == 3
    if name in ("retrain", "merge"):  # which take the statistics of the rows that they train on
        assert not torch.equal(a.state[buffers[0]][2], before[buffers[0]])
    else:
        assert not set(buffers) & set(a.state)


def test_retraining_is_the_plain_training_of_each_coalition(problems):
    problem, _ = problems
    matrix = coalitions(4, 8, seed=2)
    state = unlearn(problem, "retrain", matrix).state
    for k, keep in enumerate(problem.retained(matrix).numpy()):
        model = copy.deepcopy(problem.model)
        model.load_state_dict(problem.recipe.init)
        model.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            for order in problem.recipe.orders(40, 3):
                for batch in torch.as_tensor(order[keep[order]]).split(10):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(problem.x[batch]), problem.y[batch]).backward()
                    optimizer.step()
        for key, value in state.items():
            torch.testing.assert_close(value[k], model.state_dict()[key], atol=TOLERANCE, rtol=TOLERANCE)


# A batch norm cannot train on one row: a last batch of one is joined to the one before it.

NORMS = {
    "BatchNorm1d": lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
    "of one pixel": lambda: nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2)
    ),
    "without statistics": lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2)),
}
UNEVEN = np.repeat(list("abcd"), [1, 10, 12, 17])


def by_hand(start, recipe, x, y, rows, seed=0):
    """Training by the recipe, with the convention for batches of one row written out."""
    model = copy.deepcopy(start).train()
    count = int(rows.sum())
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    for order in recipe.orders(len(x), seed) if count else ():
        own = order[rows[order]]
        batches = [own[k : k + recipe.batch_size] for k in range(0, count, recipe.batch_size)]
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [np.concatenate(batches[-2:])]
        for batch in batches:
            if count == 1:  # nothing to join it to: normalised by the statistics that there are
                for layer in model:
                    layer.train(not isinstance(layer, nn.modules.batchnorm._BatchNorm))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model.eval()


def uneven(network):
    (x, y), test = breast_cancer()
    torch.manual_seed(0)
    start = network().double()
    recipe = Recipe("adam", lr=0.03, epochs=3, batch_size=9, init=start)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    return start, recipe, (x, y), tuple(map(torch.as_tensor, test)), recipe.train(start, cross_entropy, x, y)


@pytest.mark.parametrize("network", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("count", [1, 2, 9, 10, 19, 28, 40])
def test_a_last_batch_of_one_row_is_joined_to_the_one_before(network, count):
    start, recipe, (x, y), *_ = uneven(network)
    rows = np.arange(40) < count
    model = recipe.train(start, cross_entropy, x, y, rows=torch.as_tensor(rows))
    expected = by_hand(start, recipe, x, y, rows).state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-12, rtol=1e-12)
    assert not any(layer.training for layer in model.modules())


@pytest.mark.parametrize("network", NORMS.values(), ids=NORMS)
def test_a_provider_of_one_row_is_retrained_like_any_other(network):
    start, recipe, train, test, model = uneven(network)
    problem = ValuationProblem(model, train, test, metric="log_likelihood", groups=UNEVEN, fit=recipe)
    every = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool)
    got = UnlearningGame(problem, "retrain")(every)
    for utility, keep in zip(got[:-1], every[:-1], strict=True):
        other = by_hand(start, recipe, *train, np.isin(UNEVEN, np.array(list("abcd"))[keep]))
        log_p = other(test[0]).log_softmax(dim=1).detach()
        assert utility == pytest.approx(float(log_p[torch.arange(len(log_p)), test[1]].mean()), abs=TOLERANCE)
    assert got[-1] == problem.given_utility


@pytest.mark.slow
@pytest.mark.parametrize("name", ["finetune", "replay", "newton"])
def test_a_provider_of_one_row_is_unlearned_in_batches_as_in_the_loop(name):
    _, recipe, train, test, model = uneven(NORMS["BatchNorm1d"])
    every = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool)
    utilities = []
    for batched in (True, False):
        problem = ValuationProblem(model, train, test, metric="log_likelihood", groups=UNEVEN, fit=recipe)
        problem.engine.batched = batched
        utilities.append(UnlearningGame(problem, name)(every))
    np.testing.assert_allclose(utilities[0], utilities[1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_one_row_and_all_rows_at_once(optimizer):
    start, _, (x, y), *_ = uneven(NORMS["BatchNorm1d"])
    recipe = Recipe(optimizer, lr=0.1, epochs=2, batch_size=None)
    for count in (1, 2):
        model = recipe.train(start, cross_entropy, x, y, rows=torch.arange(40) < count)
        assert all(torch.isfinite(p).all() for p in model.state_dict().values())
        assert not torch.equal(model[0].weight, start[0].weight) or count == 2


@pytest.mark.filterwarnings("ignore:.*cannot be retrained for many coalitions at once")
def test_batches_of_one_row_throughout_are_named_and_the_advice_helps():
    start, _, (x, y), test, _ = uneven(NORMS["BatchNorm1d"])
    with pytest.raises(ValueError, match="batch_size is 1, but BatchNorm1d cannot train on a batch of one row: give"):
        Recipe(batch_size=1).train(start, cross_entropy, x, y)
    recipe = Recipe(batch_size=2, epochs=1, init=start)
    model = recipe.train(start, cross_entropy, x, y)
    coalition = [[False, True, True, False]]
    wrong = ValuationProblem(model, (x, y), test, groups=UNEVEN, fit=Recipe(batch_size=1, init=start))
    with pytest.raises(ValueError, match="batch_size is 1, but BatchNorm1d"):
        UnlearningGame(wrong, "retrain")(coalition)
    right = ValuationProblem(model, (x, y), test, groups=UNEVEN, fit=recipe)
    assert np.isfinite(UnlearningGame(right, "retrain")(coalition)).all()


def test_images_train_on_a_batch_of_one_row_as_they_did():
    """Their statistics are those of the pixels: nothing is joined."""
    (x, y), _ = breast_cancer()
    torch.manual_seed(0)
    start, x, y = convolutional().double(), torch.as_tensor(x), torch.as_tensor(y)
    recipe = Recipe("sgd", lr=0.1, epochs=1, batch_size=39)
    model = recipe.train(start, cross_entropy, x, y)
    other = copy.deepcopy(start).train()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    for batch in torch.as_tensor(recipe.orders(40, 0)[0]).split(39):
        optimizer.zero_grad()
        nn.functional.cross_entropy(other(x[batch]), y[batch]).backward()
        optimizer.step()
    torch.testing.assert_close(model[1].weight, other[1].weight, atol=1e-12, rtol=0)
    torch.testing.assert_close(model[2].running_mean, other[2].running_mean, atol=1e-12, rtol=0)
