"""What errors of the adapter for OpenDataVal, and of the checks of its evaluators, advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from problems import breast_cancer

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from opendataval.dataloader import DataFetcher
from opendataval.dataval import LeaveOneOut
from opendataval.model import LogisticRegression
from torch.utils.data import Subset
from unshap_conformance.evaluators import evaluator_subject
from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.models import PlayedModel
from unshap_conformance.games import by_name
from unshap_opendataval import UnlearningShapley

from unshap_plugin.errors import DivergenceError
from unshap_plugin.plugin import StackedModels, Unlearner

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")

FOLDERS = ["conformance/unshap_conformance/evaluators", "adapters/unshap_opendataval"]
#: What only describes, with the reason.
NO_ADVICE = {"raise Violation(": "says how a subject fails a check", "raise Skipped(": "says why there is no check"}

(X, Y), (XT, YT) = (tuple(np.asarray(one, dtype=np.float32) for one in pair) for pair in breast_cancer(8, 30))
ONE_HOT, ONE_HOT_T = (np.eye(2, dtype=np.float32)[labels.astype(int)] for labels in (Y, YT))
DATA = DataFetcher.from_data_splits(X, ONE_HOT, XT, ONE_HOT_T, XT, ONE_HOT_T, one_hot=True, random_state=0)
torch.manual_seed(0)
MODEL = LogisticRegression(6, 2)
RECIPE = {"epochs": 4, "batch_size": 4, "lr": 0.05}


def plausible(evaluator):
    """Its values sum to what they should."""
    result = evaluator.result
    np.testing.assert_allclose(result.values.sum(), result.utility_all - result.utility_none, atol=1e-6)
    assert evaluator.data_values.shape == (8,)
    assert np.isfinite(evaluator.data_values).all()


def trained(**kwargs):
    return UnlearningShapley(**{"unlearner": "finetune", "random_state": 0, **kwargs}).train(DATA, MODEL, **RECIPE)


def by_parts(*order, x=None, **kwargs):
    """Train in steps, or in some of them."""
    evaluator = UnlearningShapley("finetune", random_state=0, **kwargs)
    x = torch.as_tensor(X) if x is None else x
    for step in order:
        if step == "data":
            evaluator.input_data(x, torch.as_tensor(ONE_HOT), torch.as_tensor(XT), torch.as_tensor(ONE_HOT_T))
        elif step == "model":
            evaluator.input_model_metric(MODEL, None)
        else:
            evaluator.train_data_values(**RECIPE)
    return evaluator


def read(**kwargs):
    return by_parts(**kwargs).data_values


class Fails(Unlearner):
    """Fails for coalitions of three."""

    name = "fails"

    def _unlearn(self, problem, coalitions, seed):
        if (coalitions.sum(axis=1) == 3).any():
            raise RuntimeError("three of them")
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


# The model that is a game.

[GAME] = by_name("glove")
ROWS = torch.arange(GAME.n_players, dtype=torch.float32)[:, None]


def played(x, y, weights=None):
    return PlayedModel(GAME, Watch()).fit(x, y, sample_weight=weights)


def keeps(*players, **kwargs):
    """A fit on the rows of these players keeps these."""
    kept = np.zeros(GAME.n_players, dtype=bool)
    kept[list(players)] = True
    np.testing.assert_array_equal(played(**kwargs).kept, kept)


ADAPTER = [
    Case(
        "training arguments by position",
        lambda: UnlearningShapley().train(DATA, MODEL, None, 4),
        "pass them by name (epochs=...)",
        (lambda: plausible(UnlearningShapley("finetune", random_state=0).train(DATA, MODEL, epochs=4)),),
    ),
    Case(
        "no values yet",
        lambda: UnlearningShapley().evaluate_data_values(),
        "call train, or input_data and train_data_values, first",
        (lambda: plausible(trained()), lambda: plausible(by_parts("model", "data", "train"))),
    ),
    Case(
        "no model yet",
        lambda: by_parts("data", "train"),
        "pass both to train, or to input_data and input_model_metric",
        (lambda: plausible(trained()), lambda: plausible(by_parts("data", "model", "train"))),
    ),
    Case(
        "text",
        lambda: by_parts("model", "data", "train", x=Subset(list("abcdefgh"), range(8))),
        "embed text and other data first",
        (lambda: plausible(by_parts("model", "data", "train", x=Subset(torch.as_tensor(X), range(8)))),),
    ),
    Case(
        "a budget that is too small",
        lambda: trained(budget=5),
        "6 evaluations; give that.",
        (lambda: plausible(trained(budget=6)),),
    ),
    Case(
        "unlearning that fails",
        lambda: trained(unlearner=Fails()),
        "for the coalition that keeps 3 of 8 players",
        (lambda: plausible(trained(unlearner="finetune")),),
    ),
]

EVALUATORS = [
    Case(
        "the seed that the checks choose",
        lambda: evaluator_subject(UnlearningShapley, kwargs={"random_state": 3, "unlearner": "newton"}),
        "leave it out",
        (lambda: evaluator_subject(UnlearningShapley, kwargs={"unlearner": "newton"}).kwargs,),
    ),
    Case(
        "one evaluator",
        lambda: evaluator_subject(LeaveOneOut()),
        "but its class, or a function that returns a new one, is needed",
        (lambda: evaluator_subject(LeaveOneOut).seedable, lambda: evaluator_subject(lambda: LeaveOneOut()).seedable),
    ),
    Case(
        "labels of other players",
        lambda: played(ROWS[:2], ROWS[1:3]),
        "pass covariates and labels of the same rows",
        (lambda: keeps(0, 1, x=ROWS[:2], y=ROWS[:2]),),
    ),
    Case(
        "validation rows",
        lambda: played(*[torch.tensor([[0.0], [-1.0]])] * 2),
        "a model is trained on training rows alone",
        (lambda: keeps(0, x=ROWS[:1], y=ROWS[:1]),),
    ),
    Case(
        "weights",
        lambda: played(ROWS[:2], ROWS[:2], torch.tensor([0.5, 1.0])),
        "pass 0 or 1",
        (lambda: keeps(1, x=ROWS[:2], y=ROWS[:2], weights=torch.tensor([0.0, 1.0])),),
    ),
    Case(
        "a row twice",
        lambda: played(*[torch.cat([ROWS[:1], ROWS[:1]])] * 2),
        "pass each row once",
        (lambda: keeps(0, x=ROWS[:1], y=ROWS[:1]),),
    ),
]

CASES = [*ADAPTER, *EVALUATORS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES, NO_ADVICE) == []


def test_no_policy_is_advised_where_none_can_be_given():
    with pytest.raises(DivergenceError, match=r"; use another unlearner \(finetune, [^()]*\)\.$") as caught:
        trained(unlearner=Fails())
    assert "on_error" not in str(caught.value)
