"""``UnlearningBanzhaf``, ``UnlearningBetaShapley`` and ``UnlearningLOO`` as evaluators of OpenDataVal's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

import torch
from opendataval.dataloader import DataFetcher
from opendataval.dataval import DataEvaluator
from opendataval.metrics import Metrics
from opendataval.model import LogisticRegression
from unshap_opendataval import UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO, UnlearningShapley

from unshap_plugin import corrected_values, semivalues
from unshap_plugin.errors import BudgetError, InvalidTypeError, InvalidValueError

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
RECIPE = {"epochs": 5, "batch_size": 32, "lr": 0.01}
KINDS = {UnlearningBanzhaf: "banzhaf", UnlearningBetaShapley: ("beta", 4, 1), UnlearningLOO: "loo"}


def data(rows=20):
    return DataFetcher("iris", random_state=0).split_dataset_by_count(rows, 40, 40)


def train(evaluator, rows=20):
    torch.manual_seed(0)
    return evaluator.train(data(rows), LogisticRegression(4, 3), Metrics.ACCURACY, **RECIPE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_values_are_the_semivalues_of_the_game_that_shapley_values_are_of(kind):
    groups = np.arange(20) % 5
    evaluator = train(kind(groups=groups, random_state=0))
    shapley = train(UnlearningShapley(groups=groups, random_state=0))
    game = evaluator._game(evaluator._problem(RECIPE))
    expected = semivalues(game, KINDS[kind])
    np.testing.assert_array_equal(evaluator.result.values, expected.values)
    np.testing.assert_allclose(evaluator.data_values, expected.values[groups] / 4)
    assert evaluator.result.semivalue == expected.semivalue != shapley.result.semivalue
    assert evaluator.result.utility_all == shapley.result.utility_all
    assert not np.allclose(evaluator.data_values, shapley.data_values)


@pytest.mark.parametrize("kind", [UnlearningBanzhaf, UnlearningBetaShapley], ids=lambda kind: kind.__name__)
def test_rows_are_sampled_within_the_budget_and_by_the_seed(kind):
    evaluators = [train(kind(budget=100, random_state=seed)) for seed in (0, 0, 1)]
    first, again, other = (one.data_values for one in evaluators)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (20,)
    assert evaluators[0].result.evaluations <= 100
    assert (evaluators[0].result.std_errors > 0).all()


@pytest.mark.parametrize("kind", [UnlearningShapley, UnlearningBanzhaf, UnlearningBetaShapley])
def test_rules_end_the_estimate(kind):
    whole = train(kind(budget=1000, random_state=0)).result
    ended = train(kind(target_error="50%", random_state=0)).result
    assert (whole.stopped, ended.stopped) == ("budget", "target_error")
    assert ended.asked < whole.asked
    same = train(kind(budget=ended.asked, random_state=0)).result
    np.testing.assert_array_equal(same.values, ended.values)
    assert train(kind(max_time=0.001, random_state=0)).result.stopped == "max_time"


@pytest.mark.parametrize("wrong", [{"target_error": "much"}, {"max_time": -1}], ids=str)
def test_rules_are_checked_before_anything_is_trained(wrong):
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        UnlearningShapley(**wrong)


@pytest.mark.parametrize("kind", [UnlearningShapley, UnlearningBanzhaf], ids=lambda kind: kind.__name__)
def test_retrainings_correct_the_values(kind):
    groups = np.arange(20) % 5
    evaluator = train(kind("influence", groups=groups, retrainings=16, random_state=0))
    result = evaluator.result
    game = evaluator._game(evaluator._problem(RECIPE))
    expected = corrected_values(game, 16, evaluator.seed, kind=KINDS.get(kind))
    np.testing.assert_array_equal(result.values, expected.values)
    np.testing.assert_allclose(evaluator.data_values, expected.values[groups] / 4)
    assert (result.unlearner, result.retrainings, result.semivalue) == ("retrain", 16, expected.semivalue)
    alone = train(kind("influence", groups=groups, random_state=0)).result
    np.testing.assert_allclose(result.unlearned["influence"][0], alone.values, atol=1e-9)
    assert np.abs(result.values - alone.values).max() > 1e-3, "else nothing would be corrected"


def test_what_retrainings_do_not_go_with_is_refused():
    with pytest.raises(InvalidValueError, match=r"estimator is 'exact'.*leave it out, or leave out retrainings"):
        UnlearningShapley(estimator="exact", retrainings=16)
    with pytest.raises(InvalidValueError, match=r"take semivalues\(game, 'loo'\) with unlearner='retrain'"):
        train(UnlearningLOO(retrainings=30))


def test_a_beta_of_ones_is_shapley():
    beta = train(UnlearningBetaShapley(budget=100, alpha=1, beta=1, random_state=0))
    np.testing.assert_allclose(
        beta.data_values, train(UnlearningShapley(budget=100, random_state=0)).data_values, atol=1e-9
    )


def test_leaving_one_out_takes_one_evaluation_a_row_and_one_more():
    evaluator = train(UnlearningLOO(random_state=0))
    assert evaluator.result.evaluations == 21
    assert (evaluator.result.std_errors == 0).all()
    with pytest.raises(BudgetError, match=r"leave-one-out values of 20 players need 21 evaluations"):
        train(UnlearningLOO(budget=20))


def test_they_are_registered_and_told_apart():
    for kind in KINDS:
        assert DataEvaluator.Evaluators[kind.__name__.lower()] is kind
    assert repr(UnlearningBetaShapley(alpha=16)) == "UnlearningBetaShapley(alpha=16)"
    assert repr(UnlearningBanzhaf("newton", budget=5)) == "UnlearningBanzhaf(newton, budget=5)"


def test_parameters_that_cannot_be_are_refused_before_training():
    with pytest.raises(InvalidValueError, match=r"alpha is -1"):
        UnlearningBetaShapley(alpha=-1)
    with pytest.raises(InvalidTypeError, match=r"beta is 'x'"):
        UnlearningBetaShapley(beta="x")
