"""``unshap_pydvl``: the adapter checks, and pyDVL's methods and samplers with utilities by unlearning."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from adapter_checks import AdapterChecks, data
from joblib import parallel_config
from pydvl.reporting.scores import compute_removal_score
from pydvl.utils.status import Status
from pydvl.valuation import (
    AbsoluteStandardError,
    BanzhafValuation,
    BetaShapleyValuation,
    Dataset,
    DeterministicUniformSampler,
    GroupedDataset,
    History,
    LOOValuation,
    MaxTime,
    MinUpdates,
    ModelUtility,
    NoStopping,
    PermutationSampler,
    RankCorrelation,
    ShapleyValuation,
    SupervisedScorer,
    TMCShapleyValuation,
    ValuationResult,
)
from pydvl.valuation.types import Sample
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from unshap_pydvl import UnlearningUtility, UnlearningValuation

from unshap_plugin import semivalues, shapley_values
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.plugin import StackedModels, Unlearner

DATA = data()
TEST = Dataset(DATA.x_test, DATA.y_test)


def grouped(given=DATA):
    letters = list("abcde")
    return GroupedDataset(given.x, given.y, [letters.index(one) for one in given.groups], group_names=letters)


def rows(count=20, given=DATA):
    return Dataset(given.x[:count], given.y[:count])


def utility(unlearner="newton", model=None, test=TEST, **settings):
    return UnlearningUtility(LogisticRegression() if model is None else model, test, unlearner, **settings)


class Fails(Unlearner):
    """Fails for coalitions of three."""

    name = "fails"

    def _unlearn(self, problem, coalitions, seed):
        if (coalitions.sum(axis=1) == 3).any():
            raise RuntimeError("three of them")
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


class TestPydvl(AdapterChecks):
    framework = "pydvl"

    def ask(self, data, adapter=None, *, unlearner="newton", budget=None, seed=0):
        """The test data are those of the utility, and stay."""
        if adapter is None:
            adapter = UnlearningValuation(utility(unlearner, seed=seed), budget=budget, seed=seed)
        result = adapter.fit(grouped(data)).result
        assert result.names.tolist() == list("abcde")
        return adapter, result.values

    def expected(self, data, **settings):
        return super().expected(replace(data, x_test=DATA.x_test, y_test=DATA.y_test), **settings)

    def pipeline(self, data):
        """Point removal, on the values of a method of theirs too."""
        train = grouped(data)
        scores = ModelUtility(LogisticRegression(), SupervisedScorer("accuracy", TEST, default=0.0))
        theirs = TMCShapleyValuation(scores, is_done=MinUpdates(3), seed=0)
        for method in (UnlearningValuation(utility(), is_done=MinUpdates(10)), theirs):
            values = method.fit(train).result
            removal = compute_removal_score(scores, values, train, [0.2, 0.4])
            assert np.isfinite(list(removal.values())).all()
            frame = values.to_dataframe(use_names=True)
            assert list(frame.index) == list("abcde")

    def mistakes(self, data):
        made, two = UnlearningUtility, {"ll": "log_likelihood", "hits": "accuracy"}
        train, scorer = grouped(), SupervisedScorer("accuracy", TEST, default=0.0)
        fit = UnlearningValuation(utility()).fit
        yield lambda: fit((DATA.x, DATA.y)), InvalidTypeError, "make one, as Dataset(x, y)"
        yield lambda: made(LogisticRegression(), (DATA.x, DATA.y)), InvalidTypeError, "test is a tuple"
        yield lambda: utility(groups=DATA.groups), InvalidTypeError, "pass a GroupedDataset to fit"
        yield lambda: utility(test=scorer, metric="accuracy"), InvalidTypeError, "leave it out, or pass test data"
        yield lambda: utility(metric=two).with_dataset(train), InvalidValueError, "measures 2 things"
        yield lambda: utility()(None), InvalidValueError, "call with_dataset, or fit a valuation with it"
        sample = Sample(None, np.array([7]))
        yield lambda: utility().with_dataset(train)(sample), InvalidValueError, "no index 7"
        twins = GroupedDataset(DATA.x, DATA.y, np.arange(40) % 2, group_names=["a", "a"])
        yield lambda: fit(twins), InvalidValueError, "two groups of one name"
        yield lambda: UnlearningValuation("newton"), InvalidTypeError, "make one of a model and test data"
        yield lambda: UnlearningValuation(utility(), "banzaf"), UnknownNameError, "'banzhaf'"
        yield lambda: UnlearningValuation(utility(), is_done=60), InvalidTypeError, "such as MaxTime(60)"
        failing = UnlearningValuation(utility(Fails()))
        yield lambda: failing.fit(train), DivergenceError, "keeps 3 of 5 players"
        looked_at = UnlearningValuation(utility(), "loo", is_done=MaxTime(60))
        yield lambda: looked_at.fit(train), InvalidValueError, "criteria such as is_done end an estimate"


# The method.


@pytest.mark.parametrize("kind", [None, "banzhaf", ("beta", 4, 1), "loo"], ids=str)
def test_the_result_is_pydvl_s_own_with_our_standard_errors(kind):
    valuation = UnlearningValuation(utility(), kind, budget=None if kind == "loo" else 200).fit(rows())
    result, details = valuation.result, valuation.details
    game = utility().with_dataset(rows()).game
    expected = shapley_values(game, budget=200) if kind is None else semivalues(game, kind, budget=valuation.budget)
    assert isinstance(result, ValuationResult)
    np.testing.assert_array_equal(result.values, expected.values)
    np.testing.assert_allclose(result.stderr, expected.std_errors, rtol=1e-14)
    np.testing.assert_array_equal(result.counts, np.full(20, expected.asked))
    np.testing.assert_array_equal(details.values, expected.values)
    assert (details.std_errors > 0).all() == (kind != "loo")
    assert result.status == Status.Converged
    assert result.algorithm == str(valuation)
    assert len(result.copy()) == len(result.sort(reverse=True)) == 20
    assert result.get(3).value == expected[3]


def test_groups_are_valued_under_their_names_whatever_their_numbers():
    numbers = {"a": 9, "b": 3, "c": 11, "d": 0, "e": 40}
    ids = [numbers[one] for one in DATA.groups]
    order = GroupedDataset(DATA.x, DATA.y, ids).indices
    names = [next(name for name, number in numbers.items() if number == one) for one in order]
    result = UnlearningValuation(utility()).fit(GroupedDataset(DATA.x, DATA.y, ids, group_names=names)).result
    plain = UnlearningValuation(utility()).fit(grouped()).details
    for name, number in numbers.items():
        assert result.get(number).value == plain[name]
        assert result.get(number).name == name
    sliced = UnlearningValuation(utility()).fit(grouped()[[0, 2, 4]])
    assert sliced.details.players == ("a", "c", "e")


def test_it_goes_on_from_a_result_as_if_it_had_never_ended(counted):
    first = UnlearningValuation(utility(), budget=60, seed=3).fit(rows())
    kept, sofar = first.result, sum(counted)
    assert sofar <= 60
    longer = UnlearningValuation(first.utility, budget=60, seed=3).fit(rows(), continue_from=kept)
    assert sum(counted) <= 120
    once = UnlearningValuation(utility(), budget=longer.details.asked, seed=3).fit(rows()).result
    np.testing.assert_array_equal(longer.result.values, once.values)
    np.testing.assert_array_equal(longer.result.stderr, once.stderr)
    assert longer.result.counts[0] == kept.counts[0] + 60
    assert (longer.result.stderr < kept.stderr).mean() > 0.8


def test_going_on_by_a_criterion_never_rests_on_fewer_utilities_than_before():
    first = UnlearningValuation(utility(), budget=300).fit(rows())
    longer = UnlearningValuation(first.utility, is_done=MinUpdates(50)).fit(rows(), continue_from=first.result)
    assert longer.result.counts[0] >= first.result.counts[0] == 300
    assert longer.result.status == Status.Converged


def test_it_goes_on_in_another_process_with_a_store(tmp_path, counted):
    path = tmp_path / "values.db"
    first = UnlearningValuation(utility(store=path), budget=60).fit(rows()).result
    again = pickle.loads(pickle.dumps(first))
    counted.clear()
    longer = UnlearningValuation(utility(store=path), budget=20).fit(rows(), continue_from=again)
    assert 0 < sum(counted) <= 20
    assert longer.result.counts[0] == 80


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: LOOValuation(utility()).fit(rows()).result, "says nothing of the coalitions"),
        (lambda: UnlearningValuation(utility(), "banzhaf", budget=60).fit(rows()).result, "has the method"),
        (lambda: UnlearningValuation(utility(), budget=60, seed=1).fit(rows()).result, "has the seed 1"),
        (lambda: UnlearningValuation(utility(), budget=60).fit(rows(19)).result, "of other data"),
    ],
    ids=["another framework's", "another kind", "another seed", "other data"],
)
def test_it_goes_on_from_nothing_else(other, words):
    with pytest.raises(InvalidValueError, match=words):
        UnlearningValuation(utility(), budget=60).fit(rows(), continue_from=other())


@pytest.mark.parametrize(
    "is_done",
    [
        lambda: MinUpdates(150),
        lambda: AbsoluteStandardError(0.4),
        lambda: RankCorrelation(rtol=0.1, burn_in=1) & MinUpdates(150),
        lambda: AbsoluteStandardError(1e-9) | MinUpdates(150),
    ],
    ids=["updates", "error", "and", "or"],
)
def test_criteria_end_it_and_the_values_are_those_of_that_budget(is_done):
    valuation = UnlearningValuation(utility(), is_done=is_done()).fit(rows())
    result = valuation.result
    assert valuation.details.stopped == "interrupted"
    assert result.status == Status.Converged
    assert result.counts[0] < 5_000
    same = UnlearningValuation(utility(), budget=int(result.counts[0])).fit(rows()).result
    np.testing.assert_array_equal(result.values, same.values)


def test_a_criterion_is_asked_about_the_values_so_far_and_keeps_them():
    history = History(n_steps=50)
    valuation = UnlearningValuation(utility(), is_done=MinUpdates(400) | history).fit(rows())
    np.testing.assert_array_equal(history.data[-1], valuation.result.values)
    looks = np.isfinite(history.data).all(axis=1).sum()
    assert looks >= 3
    for count in (0, 1):
        values = history.data[np.isfinite(history.data).all(axis=1)][count]
        spent = [100, 150][count]
        np.testing.assert_array_equal(UnlearningValuation(utility(), budget=spent).fit(rows()).result.values, values)


def test_time_ends_it_between_looks_and_what_is_not_done_is_pending():
    timed = UnlearningValuation(utility(), is_done=MaxTime(1e-3) | MinUpdates(10**9)).fit(rows())
    assert timed.details.stopped == "max_time"
    assert timed.result.status == Status.Converged
    short = UnlearningValuation(utility(), is_done=MinUpdates(10**9), budget=60).fit(rows())
    assert (short.details.stopped, short.result.status) == ("budget", Status.Pending)
    exact = UnlearningValuation(utility(), is_done=MinUpdates(10**9)).fit(grouped())
    assert (exact.details.estimator, exact.result.status) == ("exact", Status.Converged)


@pytest.mark.slow
def test_it_works_in_two_processes_with_the_same_bits():
    plain = UnlearningValuation(utility(n_jobs=1), budget=60).fit(rows()).result
    with parallel_config(backend="loky", n_jobs=2):
        np.testing.assert_array_equal(UnlearningValuation(utility(), budget=60).fit(rows()).result.values, plain.values)


# Models, scorers.


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy", "function", "model"])
def test_a_scorer_brings_its_test_data_and_scoring(scoring):
    def hits(model, x, y):
        return np.mean(model.predict(x) == y)

    given = {"function": hits, "model": LogisticRegression()}.get(scoring, scoring)
    scorer = SupervisedScorer(given, TEST, default=0.0)
    made = UnlearningUtility(LogisticRegression(), scorer, "retrain").with_dataset(grouped())
    theirs = ModelUtility(LogisticRegression(), scorer).with_dataset(grouped())
    for subset in ([0, 1, 2, 3, 4], [0, 3], [1, 2, 4]):
        sample = Sample(None, np.array(subset))
        assert made(sample) == pytest.approx(theirs(sample), abs=1e-12)


def test_a_model_of_any_kind_is_fitted_by_a_clone_and_left_alone():
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    fitted = UnlearningValuation(UnlearningUtility(tree, TEST)).fit(grouped())
    assert fitted.details.unlearner == "retrain"
    assert not hasattr(tree, "tree_")
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])


def test_a_torch_module_is_taken_as_trained():
    torch.manual_seed(0)
    module = torch.nn.Linear(6, 2).double()
    valuation = UnlearningValuation(UnlearningUtility(module, TEST, "influence")).fit(grouped())
    assert valuation.details.unlearner == "influence"
    np.testing.assert_array_equal(
        valuation.utility.game.problem.given_model.weight.detach().numpy(), module.weight.detach().numpy()
    )


# The utility.


def test_the_order_of_a_sample_does_not_matter_and_nobody_is_not_a_default():
    made = utility().with_dataset(grouped())
    for subset in ([4, 0, 2], [0, 2, 4], [2, 4, 0]):
        kept = np.isin(np.arange(5), subset)
        assert made(Sample(None, np.array(subset))) == made.game(kept[None])[0]
    nobody = made.game(np.zeros((1, 5), dtype=bool))[0]
    assert made(None) == made(Sample(None, np.array([], dtype=int))) == nobody != 0


def test_a_copy_and_a_pickle_have_the_same_utilities_and_data_bind_a_copy():
    plain = utility()
    bound = plain.with_dataset(grouped())
    assert plain.training_data is None
    sample = Sample(None, np.array([1, 3]))
    assert copy.copy(bound)(sample) == pickle.loads(pickle.dumps(bound))(sample) == bound(sample)
    assert bound.with_dataset(grouped()).game is bound.game
    assert bound.with_dataset(grouped(data(1))).game is not bound.game


def test_a_process_keeps_the_game_of_a_utility_that_it_gets_again(counted):
    bound, sample = utility().with_dataset(grouped()), Sample(None, np.array([1, 3]))
    sent = pickle.dumps(bound)
    for _ in range(3):
        pickle.loads(sent)(sample)
    assert sum(counted) == 1


@pytest.mark.parametrize("backend", [None, "threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_exhaustive_sampling_by_pydvl_gives_the_exact_values(backend):
    exact = shapley_values(utility().with_dataset(grouped()).game).values
    # Told of the sampler it would end as soon as all samples were sent to others.
    valuation = ShapleyValuation(utility(), DeterministicUniformSampler(), is_done=NoStopping())
    if backend is None:
        valuation.fit(grouped())
    else:
        with parallel_config(backend=backend, n_jobs=2):
            valuation.fit(grouped())
    np.testing.assert_allclose(valuation.result.values, exact, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (lambda made, sampler: BanzhafValuation(made, sampler, is_done=NoStopping(sampler)), "banzhaf"),
        (
            lambda made, sampler: BetaShapleyValuation(made, sampler, is_done=NoStopping(sampler), alpha=4, beta=1),
            ("beta", 4, 1),
        ),
        (lambda made, sampler: LOOValuation(made), "loo"),
    ],
    ids=["banzhaf", "beta", "loo"],
)
def test_other_values_are_the_same_ones_by_both_ways(method, kind):
    theirs = method(utility(), DeterministicUniformSampler()).fit(grouped()).result.values
    np.testing.assert_allclose(theirs, UnlearningValuation(utility(), kind).fit(grouped()).result.values, atol=1e-12)


def test_permutations_by_pydvl_come_to_the_same_values():
    sampled = ShapleyValuation(utility(), PermutationSampler(seed=0), is_done=MinUpdates(300)).fit(grouped()).result
    exact = UnlearningValuation(utility()).fit(grouped()).result.values
    assert (np.abs(sampled.values - exact) < 5 * sampled.stderr + 1e-9).all()
