"""What errors of the adapter for dattri advise, followed to the letter."""

from __future__ import annotations

import pytest
import torch
from advice import Case, check, without_a_case
from problems import breast_cancer
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from unshap_dattri import UnlearningAttributor

# isort: split
from dattri.benchmark.utils import SubsetSampler
from dattri.task import AttributionTask

from unshap_plugin import losses

FOLDERS = ["adapters/unshap_dattri"]

TRAIN, TEST = (TensorDataset(*map(torch.as_tensor, pair)) for pair in breast_cancer(12, 10))
with torch.random.fork_rng():
    torch.manual_seed(0)
    MODEL = nn.Linear(6, 2).double()


def loader(data):
    return DataLoader(data, batch_size=5)


def loss(params, data):
    return cross_entropy(functional_call(MODEL, params, (data[0],)), data[1])


def decayed(params, data):
    return loss(params, data) + params["weight"].square().sum()


def squared(params, data):
    return loss(params, data) ** 2


def scores(loss_func=loss, target_func=loss, cached=TRAIN, asked=TRAIN, rows=None, task=None, **settings):
    task = AttributionTask(loss_func, MODEL, MODEL.state_dict(), target_func) if task is None else task
    attributor = UnlearningAttributor(task, "influence", budget=60, **settings)
    attributor.cache(loader(cached))
    sampler = None if rows is None else SubsetSampler(rows)
    return attributor, attributor.attribute(DataLoader(asked, 5, sampler=sampler), loader(TEST))


def checkpoint(given, **others):
    return scores(task=AttributionTask(loss, MODEL, given, loss, **others))


TWICE = TensorDataset(*(torch.cat([part[:11], part[:1]]) for part in TRAIN.tensors))
OWNERS = [0] * 6 + [1] * 6


def plausible(found):
    """The scores of every test point sum to what its target falls."""
    attributor, matrix = found
    [result] = attributor.results
    torch.testing.assert_close(matrix.sum(dim=0), torch.as_tensor(result.utility_all - result.utility_none))
    assert matrix.shape == (12, 10)


CASES = [
    Case(
        "a row that is not there",
        lambda: scores(rows=[0, 99]),
        "names row 99, but its data set has 12 rows",
        (lambda: plausible(scores(rows=list(range(12)))),),
    ),
    Case(
        "a row of two groups",
        lambda: scores(cached=TWICE, asked=TensorDataset(*(part[:1] for part in TRAIN.tensors)), groups=OWNERS),
        "ask for all of them",
        (lambda: plausible(scores(cached=TWICE, asked=TWICE, groups=OWNERS)),),
    ),
    Case(
        "a checkpoint of another model",
        lambda: checkpoint({"other": torch.ones(1)}),
        "pass checkpoints of this model, or a checkpoints_load_func that returns it",
        (
            lambda: plausible(checkpoint(MODEL.state_dict())),
            lambda: plausible(checkpoint({"other": torch.ones(1)}, checkpoints_load_func=lambda model, one: MODEL)),
        ),
    ),
    Case(
        "a target that is a number",
        lambda: scores(target=3),
        "or a callable (outputs, targets) -> [rows] is needed",
        (
            lambda: plausible(scores(target="cross_entropy")),
            lambda: plausible(scores(target=losses.cross_entropy)),
        ),
    ),
    Case(
        "a row that was not cached",
        lambda: scores(cached=TensorDataset(*(part[:9] for part in TRAIN.tensors))),
        "call cache with a loader of all training rows",
        (lambda: plausible(scores()),),
    ),
    Case(
        "a loss with a penalty",
        lambda: scores(decayed),
        "pass loss=, one of these or a callable (outputs, targets) -> [rows]",
        (
            lambda: plausible(scores(decayed, loss="cross_entropy")),
            lambda: plausible(scores(decayed, loss=losses.cross_entropy)),
        ),
    ),
    Case(
        "a target that is no loss",
        lambda: scores(target_func=squared),
        "pass target=, a callable (outputs, targets) -> [rows] with the same numbers",
        (lambda: plausible(scores(target_func=squared, target=lambda out, y: losses.cross_entropy(out, y) ** 2)),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
