"""Games that are played by several processes: what comes out is what one process gives."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pytest
import torch
from problems import coalitions, early_stopped, known_of
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from torch import nn

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values, value
from unshap_plugin.errors import DivergenceError, InvalidValueError, JobError
from unshap_plugin.evaluation.passes import Passes
from unshap_plugin.plugin import Unlearner
from unshap_plugin.unlearners.models import StackedModels

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(40, 4)), RNG.normal(size=(30, 4))
Y, Y_TEST = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int), (X_TEST[:, 0] + 0.5 * X_TEST[:, 1] > 0).astype(int)
DATA = {"train": (X, Y), "test": (X_TEST, Y_TEST), "groups": np.repeat(np.arange(8), 5)}
MATRIX = coalitions(40, 8)
HERE = os.getpid()


def fitted(model, **kwargs):
    return ValuationProblem(model.fit(X, Y), **DATA, **kwargs)


def network(**kwargs):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    return ValuationProblem(module, **DATA, **kwargs)


@dataclasses.dataclass(frozen=True)
class Shrinks(Unlearner):
    """Does something, and shrinks the parameters by the share that is kept."""

    name: ClassVar[str] = "shrinks"

    def _unlearn(self, problem, coalitions, seed):
        self.do(problem, coalitions)
        kept = torch.as_tensor(coalitions.mean(axis=1))
        return StackedModels(
            problem.engine,
            {name: p * kept.reshape(-1, *[1] * p.ndim) for name, p in problem.engine.theta0.items()},
        )

    def do(self, problem, coalitions):
        pass


def same_as_with_one(make, unlearner, matrix=MATRIX, jobs=((2, None), (2, 3), (2, 1)), **kwargs):
    """Play with several numbers of jobs and chunks, and return the game of one.

    Joblib starts processes anew whenever their number changes, and each takes seconds to import torch.
    """
    problem = make()
    one = UnlearningGame(problem, unlearner, n_jobs=1, **kwargs)
    expected = one(matrix)
    for n_jobs, chunk in jobs:
        game = UnlearningGame(problem, unlearner, n_jobs=n_jobs, **{"chunk": chunk, **kwargs})
        assert game._passes.jobs() == n_jobs
        half = game(matrix[::-2])
        assert np.array_equal(half, expected[::-2], equal_nan=True)
        assert np.array_equal(game(matrix), expected, equal_nan=True)
        assert (game.evaluations, game.excluded) == (one.evaluations, one.excluded)
    return one


GAMES = [
    (lambda: fitted(LogisticRegression()), "newton"),
    (lambda: fitted(LogisticRegression()), "retrain"),
    (lambda: fitted(RandomForestClassifier(2, random_state=None)), "retrain"),
    (lambda: ValuationProblem(Ridge().fit(X, X[:, 0]), (X, X[:, 0]), (X_TEST, X_TEST[:, 0])), "linear_exact"),
    (lambda: network(), "finetune"),
    (lambda: network(metric=lambda outputs, targets: (outputs.argmax(dim=1) == targets).double()), "influence"),
    (lambda: early_stopped(hidden=4), "replay"),
    (lambda: early_stopped(hidden=4), "retrain"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "unlearner"), GAMES)
def test_two_jobs_give_the_same_bits(make, unlearner):
    same_as_with_one(make, unlearner, coalitions(40, make().n_players))


def test_what_is_known_and_the_values_are_the_same():
    one, two = (UnlearningGame(network(), "finetune", n_jobs=n_jobs) for n_jobs in (1, 2))
    first, second = (shapley_values(game, "permutation", 300) for game in (one, two))
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.std_errors, second.std_errors)
    assert first.evaluations == second.evaluations
    assert known_of(one) == known_of(two)


@dataclasses.dataclass(frozen=True)
class FailsForFour(Shrinks):
    name: ClassVar[str] = "fails_for_four"

    def do(self, problem, coalitions):
        if (coalitions.sum(axis=1) == 4).any():
            raise ZeroDivisionError("by four")


def test_a_failure_is_the_error_of_one_job_and_what_came_before_is_kept():
    games = [UnlearningGame(network(), FailsForFour(), n_jobs=n_jobs, chunk=2) for n_jobs in (1, 2)]
    errors = []
    for game in games:
        with pytest.raises(DivergenceError, match=r"fails_for_four.*ZeroDivisionError: by four") as caught:
            game(MATRIX)
        errors.append(caught.value)
    one, two = errors
    assert (type(one), str(one), one.coalition, one.advice) == (type(two), str(two), two.coalition, two.advice)
    assert isinstance(two.__cause__, ZeroDivisionError)
    smaller = np.unique(MATRIX[MATRIX.sum(axis=1) < 4], axis=0)
    for game in games:
        assert 1 < game.evaluations <= 1 + len(smaller)
        assert game(smaller).shape == (len(smaller),), "and the game goes on"


def test_exclusions_are_those_of_one_job():
    game = same_as_with_one(network, FailsForFour(), on_error="exclude")
    assert game.excluded == len(np.unique(MATRIX[MATRIX.sum(axis=1) == 4], axis=0)) > 0


@dataclasses.dataclass(frozen=True)
class Warns(Shrinks):
    name: ClassVar[str] = "warns"

    def do(self, problem, coalitions):
        if (coalitions.sum(axis=1) > 4).any():
            problem.engine.announce("more than four are much")
            warnings.warn("many", RuntimeWarning, stacklevel=1)


def warned(game, action="default"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        game(MATRIX)
    return [(one.category, str(one.message), one.filename, one.lineno) for one in caught]


def test_warnings_are_those_of_one_job():
    one, two = (warned(UnlearningGame(network(), Warns(), n_jobs=n_jobs, chunk=1), "always") for n_jobs in (1, 2))
    assert one == two
    assert [text for _, text, *_ in two].count("more than four are much") == 1
    assert [text for _, text, *_ in two].count("many") > 1, "others are given as often as they come"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "more", module=__name__.replace(".", r"\."))
        warnings.filterwarnings("ignore", "many")
        UnlearningGame(network(), Warns(), n_jobs=2, chunk=1)(MATRIX)


def test_a_warning_of_many_fits_is_given_once():
    def make():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return fitted(MLPClassifier(2, max_iter=2, random_state=0))

    one, two = (warned(UnlearningGame(make(), "retrain", n_jobs=n_jobs), "always") for n_jobs in (1, 2))
    assert one == two
    assert [kind for kind, *_ in two] == [ConvergenceWarning]


def test_what_the_user_says_to_joblib_is_heard():
    game = UnlearningGame(network(), "finetune")
    assert game._passes.jobs() == 1
    with joblib.parallel_config("loky", n_jobs=2):
        assert game._passes.jobs() == 2
        values = game(MATRIX)
        assert UnlearningGame(network(), "finetune", n_jobs=1)._passes.jobs() == 1
    assert game._passes._sent is not None, "it went to other processes"
    with joblib.parallel_config("threading", n_jobs=2):
        assert game._passes.jobs() == 1, "threads would take turns"
        assert np.array_equal(UnlearningGame(network(), "finetune", n_jobs=2)(MATRIX), values)


def test_a_backend_of_threads_that_does_not_say_so_does_not_wait_for_ever():
    class Secretive(joblib._parallel_backends.ThreadingBackend):
        supports_sharedmem = False

    joblib.register_parallel_backend("secretive", Secretive)
    expected = UnlearningGame(network(), "finetune", n_jobs=1)(MATRIX)
    with joblib.parallel_config("secretive", n_jobs=2):
        game = UnlearningGame(network(), "finetune")
        assert game._passes.jobs() == 2
        assert np.array_equal(game(MATRIX), expected)


def test_a_game_in_a_worker_stays_there():
    def play(game):
        return game._passes.jobs(), game(MATRIX)

    game = UnlearningGame(network(), "finetune", n_jobs=2)
    for jobs, values in joblib.Parallel(2)([joblib.delayed(play)(game)] * 2):
        assert jobs == 1
        assert np.array_equal(values, game(MATRIX))


@dataclasses.dataclass(frozen=True)
class Chained(Shrinks):
    name: ClassVar[str] = "chained"
    order_dependent: ClassVar[bool] = True


def test_coalitions_that_have_an_order_stay_here():
    with pytest.warns(UserWarning, match="depends on the order"):
        game = UnlearningGame(network(), Chained(), n_jobs=2)
    assert game._passes.jobs() == 1


def noted(problem, path):
    """Note who computes it."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"computed {os.getpid()}\n")
    return torch.ones(3)


@dataclasses.dataclass(frozen=True)
class Notes(Shrinks):
    name: ClassVar[str] = "notes"
    path: str = ""

    def do(self, problem, coalitions):
        problem.once(noted, self.path)

    def __setstate__(self, state):
        vars(self).update(state)
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(f"came to {os.getpid()}\n")


def test_the_problem_travels_once_to_a_worker_with_what_is_computed_once(tmp_path):
    game = UnlearningGame(network(), Notes(str(tmp_path / "notes")), n_jobs=2, chunk=2)
    for one in np.split(MATRIX, 4):
        game(one)
    lines = (tmp_path / "notes").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("computed")] == [f"computed {HERE}"]
    came = [line for line in lines if line.startswith("came")]
    assert 1 <= len(came) == len(set(came)) <= 2
    assert f"came to {HERE}" not in came


def locked(problem):
    return threading.Lock()


@dataclasses.dataclass(frozen=True)
class KeepsALock(Shrinks):
    name: ClassVar[str] = "keeps_a_lock"

    def do(self, problem, coalitions):
        with problem.once(locked):
            pass


def test_what_cannot_travel_is_computed_by_each():
    same_as_with_one(network, KeepsALock())


@dataclasses.dataclass(frozen=True)
class FailsElsewhere(Shrinks):
    name: ClassVar[str] = "fails_elsewhere"
    way: str = "raise"
    home: int = dataclasses.field(default_factory=os.getpid)

    def do(self, problem, coalitions):
        if os.getpid() == self.home:
            return
        if self.way == "exit":
            os._exit(3)
        raise ZeroDivisionError("elsewhere")


def test_what_fails_only_in_another_process_says_so():
    with pytest.raises(JobError, match=r"'fails_elsewhere' works here, but failed in another process \(.*elsewhere"):
        UnlearningGame(network(), FailsElsewhere(), n_jobs=2)(MATRIX)


@pytest.mark.slow
def test_a_process_that_ends_is_an_error_and_the_game_goes_on():
    game = UnlearningGame(network(), FailsElsewhere("exit"), n_jobs=2)
    with pytest.raises(JobError, match="another process ended while unlearner 'fails_elsewhere' was at work in it"):
        game(MATRIX)
    assert np.isfinite(UnlearningGame(network(), FailsElsewhere("exit"), n_jobs=1)(MATRIX)).all()
    same_as_with_one(network, "finetune")


def threads(outputs, targets):
    return float(torch.get_num_threads())


def test_each_job_computes_on_one_thread_and_threads_are_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for n_jobs in (1, 2):
            game = UnlearningGame(network(metric=threads), Shrinks(), n_jobs=n_jobs, chunk=4)
            assert (game(MATRIX[~MATRIX.all(axis=1)]) == 1).all()
            assert torch.get_num_threads() == 2
        assert (UnlearningGame(network(metric=threads), Shrinks())(MATRIX) == 2).all(), "as many as there are"
    finally:
        torch.set_num_threads(before)


def test_global_generators_stay_where_they_are():
    problem = network()  # which seeds the global generator itself
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    UnlearningGame(problem, "finetune", n_jobs=2)(MATRIX)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_copies_and_settings_play_with_as_many_jobs():
    game = UnlearningGame(network(), "finetune", n_jobs=2)
    expected = game(MATRIX)
    for other in (copy.copy(game), copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert np.array_equal(other(~MATRIX), game(~MATRIX))
    longer = game.with_settings(steps=2)
    assert longer.n_jobs == 2
    assert not np.array_equal(longer(MATRIX), expected)
    assert np.array_equal(longer(MATRIX), UnlearningGame(network(), "finetune", steps=2)(MATRIX))


@dataclasses.dataclass(frozen=True)
class Needs(Shrinks):
    name: ClassVar[str] = "needs"

    def do(self, problem, coalitions):
        if len(coalitions) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_running_out_of_memory_halves_the_chunk_says_so_once_and_loses_nothing(n_jobs, caplog):
    game = UnlearningGame(network(), Needs(), n_jobs=n_jobs, chunk=16)
    assert np.array_equal(game(MATRIX), UnlearningGame(network(), Shrinks())(MATRIX))
    assert game.chunk in (2, 3)
    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(told) == 1
    assert told[0].startswith("out of memory: going on with")


@pytest.mark.slow
def test_nothing_is_left_running(tmp_path):
    script = tmp_path / "plays.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, numpy as np
            from pathlib import Path
            from sklearn.linear_model import LogisticRegression
            from unshap_plugin import UnlearningGame, ValuationProblem

            def process(outputs, targets):
                return float(os.getpid())

            if __name__ == "__main__":
                x = np.random.default_rng(0).normal(size=(40, 2))
                y = (x[:, 0] > 0).astype(int)
                problem = ValuationProblem(LogisticRegression().fit(x, y), (x, y), (x, y), metric=process)
                coalitions = np.random.default_rng(1).random((40, 40)) < 0.5
                print(*{int(one) for one in UnlearningGame(problem, "newton", n_jobs=2, chunk=4)(coalitions)})
            """
        ),
        encoding="utf-8",
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert ran.stderr == ""
    processes = [int(one) for one in ran.stdout.split()]
    assert len(processes) in (2, 3)
    deadline = time.monotonic() + 30
    while any(_runs(one) for one in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_runs(one) for one in processes)


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z")


def test_value_takes_jobs():
    arguments = (LogisticRegression().fit(X, Y), (X, Y), (X_TEST, Y_TEST))
    one, two = (value(*arguments, groups=DATA["groups"], n_jobs=n_jobs) for n_jobs in (1, 2))
    assert np.array_equal(one.values, two.values)
    with pytest.raises(InvalidValueError, match="n_jobs is 0, but a number of processes is needed: use 1, or -1 for"):
        value(*arguments, n_jobs=0)


def test_an_audit_uses_the_jobs_of_its_game(monkeypatch):
    made = []

    class Watched(Passes):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("unshap_plugin.game.Passes", Watched)
    reports = [
        audit(UnlearningGame(fitted(LogisticRegression()), "newton", n_jobs=n_jobs), coalitions=20) for n_jobs in (1, 2)
    ]
    assert np.array_equal(reports[0].unlearned, reports[1].unlearned)
    assert np.array_equal(reports[0].retrained, reports[1].retrained)
    assert [one.n_jobs for one in made] == [1] * 4 + [2] * 4, "the game, that of retraining, and two of its seeds"
    assert [one._sent is not None for one in made[4:]] == [True, False, True, True], "all that play"


@pytest.mark.slow
def test_three_jobs_give_the_same_bits():
    """The last test, after which no process of two jobs has to be started anew."""
    for make, unlearner in GAMES:
        same_as_with_one(make, unlearner, coalitions(40, make().n_players), jobs=[(3, 1)])
