"""Values of a model's data, or of any game."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, Literal

from numpy.typing import ArrayLike

from unshap_plugin.by_name import values_by_name
from unshap_plugin.corrected import check_corrected, corrected_values
from unshap_plugin.errors import DivergenceError, InvalidTypeError, nearest
from unshap_plugin.estimated import Game
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.evaluation.evaluation import EXCLUDING
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import find_unlearner, registered_unlearners
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.progress import Progress, check_progress
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["shapley_values", "value"]


def value(
    model: Any,
    train: tuple[Any, Any],
    test: tuple[Any, Any],
    *,
    groups: ArrayLike | None = None,
    unlearner: str | Unlearner = "auto",
    estimator: str = "auto",
    budget: int | None = None,
    retrainings: int | Literal["auto"] | None = None,
    target_error: float | str | None = None,
    max_time: float | None = None,
    stable_top: int | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], object] | None = None,
    **problem: Any,
) -> ValuationResult:
    """Return what each piece of a trained model's data was worth to it.

    Parameters
    ----------
    model
        The trained model: a torch module, or a fitted object with ``fit`` and ``predict``.
    train, test
        Pairs ``(x, y)``, ``[rows, ...]`` each: the data that is valued, and the data that performance is measured on.
    groups
        Labels ``[rows]`` that say whose each training row is; ``None`` values the rows.
    unlearner
        See ``UnlearningGame``.
    estimator, budget, target_error, max_time, stable_top, progress
        See ``shapley_values``.
    retrainings
        Retrain on so many coalitions, and return the values of retraining: see ``corrected_values``.
    seed
        Seed of the unlearner and of the estimator.
    n_jobs
        Processes that evaluate coalitions at a time, -1 for one on each core; see ``UnlearningGame``.
    store
        A file of utilities, which are not evaluated again; see ``UnlearningGame``.
    problem
        Other arguments of ``ValuationProblem``: ``loss``, ``metric``, ``valued``, ``reference``, ``access``, ``fit``,
        ...

    Raises
    ------
    UnshapError
        If anything cannot be used, before any work; or if unlearning a coalition fails.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> result = value(model, train=(x[::2], y[::2]), test=(x[1::2], y[1::2]), groups=["a", "b", "c"] * 25)
    >>> len(result), result.unlearner, result.estimator
    (3, 'newton', 'exact')
    """
    known = inspect.signature(ValuationProblem).parameters
    for name in problem:
        if name not in known:
            near = nearest(name, [*known, *inspect.signature(value).parameters])
            elsewhere = (
                f"UnlearningGame(problem, unlearner, {name}=...), which shapley_values takes, has it"
                if name in _settings(unlearner)
                else f"other arguments are those of ValuationProblem: {', '.join(list(known)[3:])}"
            )
            raise InvalidTypeError(f"value has no argument {name!r}{near}; {elsewhere}.")
    check_corrected(retrainings, estimator)
    check_progress(progress)
    asked = ValuationProblem(model, train, test, groups=groups, **problem)
    rules: dict[str, Any] = {"target_error": target_error, "max_time": max_time, "stable_top": stable_top}
    try:
        game = UnlearningGame(asked, unlearner, seed=seed, n_jobs=n_jobs, store=store)
        if retrainings is not None:
            return corrected_values(game, retrainings, seed, budget=budget, progress=progress, **rules)
        return shapley_values(game, estimator, budget, seed, progress=progress, **rules)
    except DivergenceError as error:  # the game is ours, and takes no policy from here
        made = f"shapley_values(UnlearningGame(problem, unlearner, {EXCLUDING}))"
        raise error.advising(tuple(made if way == EXCLUDING else way for way in error.advice)) from error


def _settings(unlearner: str | Unlearner) -> set[str]:
    """Return what ``UnlearningGame`` takes beside a problem and an unlearner."""
    own = inspect.signature(UnlearningGame).parameters.values()
    names = {one.name for one in own if one.kind is one.KEYWORD_ONLY}
    if isinstance(unlearner, str):
        offers = registered_unlearners() if unlearner == "auto" else {unlearner: find_unlearner(unlearner)}
        names.update(name for one in offers.values() for name in inspect.signature(one.offer.factory).parameters)
    return names


def shapley_values(
    game: Game,
    estimator: str = "auto",
    budget: int | None = None,
    seed: int = 0,
    *,
    target_error: float | str | None = None,
    max_time: float | None = None,
    stable_top: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> ValuationResult:
    """Return the Shapley values of the players of a game.

    Of ``target_error``, ``max_time`` and ``stable_top`` the first that is met ends the run, and ``result.stopped`` says
    which. The values are those of a budget of ``result.asked``, bit for bit. An exception, ``KeyboardInterrupt``
    included, passes through; the game remembers what it evaluated, so that the same call goes on from there.

    Parameters
    ----------
    game
        An ``UnlearningGame``, or anything with ``n_players`` that maps bool ``[m, n_players]`` to float64 ``[m]``.
    estimator
        ``"stratified"`` (coalitions and their complements by size, corrected by a surrogate), ``"permutation"``
        (antithetic permutation sampling), ``"exact"`` (all coalitions, up to 20 players), the name of one that a plugin
        offers, ``"shapiq:NAME"`` (an approximator of shapiq's, without standard errors), or ``"auto"``: exact where all
        coalitions fit into the budget (up to 12 players by default); for 50 to 1,500 players ``"composite"`` where the
        unlearner has marginals; for more permutation; else stratified.
    budget
        How many utilities the estimator may ask for, those already known included. By default 5,000, or four to a
        player if that is more; ``exact`` takes all. With one of the next three there is no limit by default.
    seed
        Seed of the estimator; the unlearner has its own, in the game.
    target_error
        The largest standard error that a value may have: a number in the units of the metric, or text such as
        ``"10%"``, a share of the spread of the values (their standard deviation over the players). Errors on few
        degrees of freedom count as larger, by as much as Student's t is wider than the normal distribution at 95%.
    max_time
        Seconds, after which the run ends as soon as there are values.
    stable_top
        So many players have to stand out as the best: their intervals, which hold together in 95 of 100 runs, lie
        above those of all others.
    progress
        Called with a ``Progress``, about once a second where utilities are not slower. If it returns ``True``, the run
        ends with the values so far.

    Raises
    ------
    BudgetError
        If the estimator cannot work within the budget, or the callback ends the run before there are values.
    DivergenceError
        If the utility of a coalition cannot be had.
    InvalidTypeError, InvalidValueError, UnknownNameError
        If an argument cannot be used.

    Examples
    --------
    >>> class Glove:
    ...     n_players = 3
    ...     def __call__(self, coalitions):
    ...         left, right, other = coalitions.T
    ...         return (left & (right | other)).astype(float)
    >>> shapley_values(Glove()).values.round(3)
    array([0.667, 0.167, 0.167])
    >>> class Saturating:
    ...     n_players = 60
    ...     def __call__(self, coalitions):
    ...         much = coalitions @ [*range(60)]
    ...         return much / (1000 + much)
    >>> result = shapley_values(Saturating(), target_error="20%")
    >>> result.stopped, result.asked < 1000
    ('target_error', True)
    """
    stopping = Stopping(target_error, max_time, stable_top)
    return values_by_name(game, None, estimator, budget, seed, stopping, progress)
