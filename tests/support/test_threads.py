"""Several threads: on one problem, on one game, and on a problem each."""

from __future__ import annotations

import dataclasses
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from bits import assert_same_bits
from problems import early_stopped
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.generators import moved, states
from unshap_plugin.plugin import Unlearner
from unshap_plugin.support.threads import alone, in_company
from unshap_plugin.unlearners.models import StackedModels

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(30, 4)), RNG.normal(size=(40, 4))
Y, Y_TEST = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int), (X_TEST[:, 0] + 0.5 * X_TEST[:, 1] > 0).astype(int)
DATA = {"train": (X, Y), "test": (X_TEST, Y_TEST), "groups": np.repeat(np.arange(5), 6)}


def network():
    torch.manual_seed(0)
    return ValuationProblem(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), **DATA)


def dropped():
    """Retrained one by one, with noise from the global generator."""
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)).double()
    fit = Recipe("adam", epochs=2, init=start)
    trained = fit.train(start, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))
    return ValuationProblem(trained, **DATA, fit=fit)


def fitted(model):
    return ValuationProblem(model.fit(X, Y), **DATA)


MAKERS = {
    "network": (network, "finetune"),
    "logistic, newton": (lambda: fitted(LogisticRegression()), "newton"),
    "logistic, retrain": (lambda: fitted(LogisticRegression()), "retrain"),
    "sgd, retrain": (lambda: fitted(SGDClassifier(loss="log_loss", random_state=None)), "retrain"),
    "forest that draws, retrain": (lambda: fitted(RandomForestClassifier(2, random_state=None)), "retrain"),
    "recipe, replay": (lambda: early_stopped(hidden=4, groups=np.repeat(np.arange(4), 10)), "replay"),
}
EVERY = pytest.mark.parametrize("name", MAKERS)


def in_threads(function, arguments):
    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(function, arguments))


def values(problem, unlearner):
    return shapley_values(UnlearningGame(problem, unlearner), "exact").values


@EVERY
def test_threads_on_one_problem_get_the_values_that_one_gets(name):
    make, unlearner = MAKERS[name]
    problem = make()
    expected = values(problem, unlearner)
    for one in in_threads(lambda p: values(p, unlearner), [problem] * 4):
        assert np.array_equal(one, expected)


def test_threads_begin_on_a_problem_that_nobody_has_used():
    """Everything that is done once is done by one of them; they are made to change places all the time."""
    interval = sys.getswitchinterval()
    expected = values(network(), "auto")
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(10):
            problem = network()
            for one in in_threads(lambda p: values(p, "auto"), [problem] * 4):
                assert np.array_equal(one, expected)
    finally:
        sys.setswitchinterval(interval)


@EVERY
def test_a_problem_for_each_thread_just_works(name):
    make, unlearner = MAKERS[name]
    if name.startswith(("sgd", "forest")):  # each fit of these is another model
        problems = [make()] * 4
        problems = [problem.scoped() for problem in problems]
    else:
        problems = [make() for _ in range(4)]
    expected = values(problems[0], unlearner)
    for one in in_threads(lambda p: values(p, unlearner), problems):
        assert np.array_equal(one, expected)


def test_threads_that_share_a_game_evaluate_each_coalition_once():
    game = UnlearningGame(network(), "finetune")
    every = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    expected = UnlearningGame(network(), "finetune")(every)
    for one in in_threads(game, [every, every[::-1], every, every[::-1]]):
        assert np.array_equal(np.sort(one), np.sort(expected))
    assert np.array_equal(game(every), expected)
    assert game.evaluations == 32


def test_threads_train_make_problems_and_value_them():
    """The whole way, with a recipe whose dropout draws from the global generator."""
    start = dropped().recipe.init
    # Making a layer draws from the global generator, which nobody keeps other threads from.
    modules = [nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)).double() for _ in range(3)]

    def whole(module):
        module.load_state_dict(start)
        fit = Recipe("adam", epochs=2, init=start)
        trained = fit.train(module, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))
        return value(trained, **DATA, fit=fit, unlearner="finetune").values

    expected = values(dropped(), "finetune")
    for one in in_threads(whole, modules):
        assert np.array_equal(one, expected)


def test_the_global_generators_are_left_alone_by_threads():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    problem = fitted(LogisticRegression())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    in_threads(lambda p: values(p, "retrain"), [problem] * 4)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


@dataclasses.dataclass(frozen=True)
class Asks(Unlearner):
    """Asks another game, of the same problem, while it works."""

    name = "asks"

    def _unlearn(self, problem, coalitions, seed):
        UnlearningGame(problem, "newton")(coalitions)
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


def test_an_unlearner_may_play_another_game_in_the_same_thread():
    problem = fitted(LogisticRegression())
    for one in in_threads(lambda p: values(p, Asks()), [problem] * 2):
        assert_same_bits(one, np.zeros(5))  # it hands back the given model


def test_a_forked_process_does_not_wait_for_a_thread_that_it_does_not_have():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with alone():
            inside.set()
            leave.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        with alone():
            os._exit(7)
    leave.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_among_threads_of_others_a_draw_from_pythons_generator_blames_nobody_and_is_put_back():
    before, state = states(), random.getstate()
    with in_company():
        random.random()
        assert moved(before) is None
        assert random.getstate() == state
        np.random.random()
        assert moved(before) == "numpy"
    random.random()
    assert moved(before) == "random"
    with in_company(really=False):
        random.random()
        assert moved(before) == "random"
