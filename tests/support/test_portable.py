"""Problems, games and results that are copied, pickled, and sent to other processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import joblib
import numpy as np
import pytest
import torch
from problems import early_stopped
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, audit, compute_artifacts, shapley_values, tune
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner, UnlearnerSpec
from unshap_plugin.unlearners import Newton

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(30, 4)), RNG.normal(size=(20, 4))
Y, Y_TEST = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int), (X_TEST[:, 0] + 0.5 * X_TEST[:, 1] > 0).astype(int)
GROUPS = np.repeat(list("abc"), 10)


def hits(outputs, targets):
    return float((outputs.argmax(dim=1) == targets).double().mean())


def absolute(outputs, targets):
    return (outputs[:, 0] - targets).abs()


def linear(**kwargs):
    return ValuationProblem(LogisticRegression().fit(X, Y), (X, Y), (X_TEST, Y_TEST), groups=GROUPS, **kwargs)


def network(**kwargs):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    return ValuationProblem(module, (X, Y), (X_TEST, Y_TEST), groups=GROUPS, **kwargs)


def head():
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    fit = Recipe("adam", epochs=2, init=start)
    module = fit.train(start, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))
    return ValuationProblem(module, (X, Y), (X_TEST, Y_TEST), groups=GROUPS, fit=fit, parameters="head")


def partial():
    module = nn.Linear(4, 2).double()
    whole = ValuationProblem(module, (X, Y), (X_TEST, Y_TEST), groups=GROUPS)
    stored = compute_artifacts(whole)
    return ValuationProblem(
        module, (X[:12], Y[:12]), (X_TEST, Y_TEST), groups=GROUPS[:12], access="partial", artifacts=stored
    )


PROBLEMS = {
    "logistic": linear,
    "scorer": lambda: linear(metric=make_scorer(fbeta_score, beta=2)),
    "named scorer": lambda: linear(metric="f1_macro"),
    "several metrics": lambda: linear(metric={"a": "accuracy", "own": hits, "loss": "neg_loss"}),
    "ridge": lambda: ValuationProblem(Ridge().fit(X, X[:, 0]), (X, X[:, 0]), (X_TEST, X_TEST[:, 0]), groups=GROUPS),
    "network": network,
    "own loss": lambda: network(loss=absolute),
    "head": head,
    "recipe": lambda: early_stopped(hidden=4, groups=np.repeat(list("abc"), [10, 10, 20])),
    "stored artefacts": partial,
    "neighbours": lambda: ValuationProblem(
        KNeighborsClassifier(1).fit(X, Y), (X, Y), (X_TEST, Y_TEST), groups=GROUPS, metric=hits
    ),
    "forest": lambda: ValuationProblem(
        RandomForestClassifier(3, random_state=0).fit(X, Y), (X, Y), (X_TEST, Y_TEST), groups=GROUPS
    ),
}
EVERY = pytest.mark.parametrize("name", PROBLEMS)
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "pickle twice": lambda one: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(copy.deepcopy(one))))),
}


def values(problem):
    return shapley_values(UnlearningGame(problem), "exact").values


@EVERY
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_has_the_same_values_bit_for_bit_before_and_after_they_were_computed(name, copied):
    problem = PROBLEMS[name]()
    before = COPIES[copied](problem)
    expected = values(problem)
    after = COPIES[copied](problem)
    for one in (before, after, COPIES[copied](after)):
        assert type(one) is type(problem)
        assert np.array_equal(one.given_utility, problem.given_utility)
        assert np.array_equal(values(one), expected)
    assert np.array_equal(values(problem), expected), "and the original is as it was"


@EVERY
@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_game_knows_what_it_knew_and_goes_on(name, copied):
    problem = PROBLEMS[name]()
    n = problem.n_players
    every = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)
    half = UnlearningGame(problem)
    half(every[::2])
    again = COPIES[copied](half)
    assert again.evaluations == half.evaluations
    assert np.array_equal(again(every), half(every))


@pytest.mark.slow
@EVERY
def test_joblib_takes_problems_and_games_to_other_processes(name):
    problem = PROBLEMS[name]()
    expected = values(problem)
    game = UnlearningGame(problem)
    with joblib.parallel_config("loky", n_jobs=2):
        tasks = [joblib.delayed(values)(problem), joblib.delayed(lambda g: shapley_values(g, "exact").values)(game)]
        for one in joblib.Parallel()(tasks):
            assert np.array_equal(one, expected)


def test_what_cannot_be_pickled_is_named_and_the_advice_helps():
    class Local(nn.Linear):
        pass

    lambdas = {
        "metric '<lambda>'": lambda: linear(metric=lambda outputs, targets: hits(outputs, targets)),
        r"metric 'a\+own'": lambda: linear(metric={"a": "accuracy", "own": lambda outputs, targets: 1.0}),
        "the loss '<lambda>'": lambda: network(loss=lambda outputs, targets: absolute(outputs, targets)),
        r"the model \(Local\)": lambda: ValuationProblem(Local(4, 2).double(), (X, Y), (X_TEST, Y_TEST), groups=GROUPS),
    }
    for what, make in lambdas.items():
        problem = make()
        for one in (problem, UnlearningGame(problem)):
            with pytest.raises(
                InvalidTypeError, match=f"^{what} cannot be pickled .* at the top level of a module .*joblib send it"
            ):
                pickle.dumps(one)
        expected = values(problem)
        assert np.array_equal(values(copy.deepcopy(problem)), expected), "copies need no pickle"
        # The two ways out: a function of a module, and joblib.
        [theirs] = joblib.Parallel(2)([joblib.delayed(values)(problem)])
        assert np.array_equal(theirs, expected)
    assert np.array_equal(values(pickle.loads(pickle.dumps(linear(metric=hits)))), values(linear(metric=hits)))


def test_an_unlearner_that_cannot_be_pickled_is_named():
    class Nothing(Unlearner):
        name = "nothing"

        def _unlearn(self, problem, coalitions, seed):
            raise AssertionError

    with pytest.raises(InvalidTypeError, match=r"^unlearner 'nothing' cannot be pickled"):
        pickle.dumps(UnlearningGame(linear(), Nothing()))


def outside(pickled, queue):
    queue.put([one if isinstance(one, Exception) else type(one).__name__ for one in map(pickle.loads, pickled)])


@pytest.mark.slow
def test_pickles_of_public_objects_load_in_a_fresh_process():
    problem = linear()
    game = UnlearningGame(problem, "newton")
    report, tuning = audit(game), tune(game, {"steps": [1, 2]})
    public = [problem, network(), PROBLEMS["neighbours"](), game, shapley_values(game), report, tuning]
    public += [
        Recipe("adam", init=nn.Linear(2, 2)),
        partial().stored,
        UnlearnerSpec("mine", Newton, "a summary", "a source"),
        game.unlearner,
    ]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=outside, args=([pickle.dumps(one) for one in public], queue))
    process.start()
    assert queue.get(timeout=300) == [type(one).__name__ for one in public]
    process.join()


@pytest.mark.parametrize(
    "error",
    [
        InvalidValueError("one sentence."),
        UnknownNameError("metric", "acuracy", ["accuracy", "r2"]),
        DivergenceError("it diverged", (True, False), ("a smaller lr", "another unlearner")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_home_from_other_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args, vars(again)) == (type(error), str(error), error.args, vars(error))
