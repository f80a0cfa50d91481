"""Values of any kind, by the estimator of a name, ended by any rules: what the public functions and adapters share."""

from __future__ import annotations

from collections.abc import Callable

from unshap_plugin.covariates import has_marginals
from unshap_plugin.errors import InvalidValueError, in_short
from unshap_plugin.estimated import Game, check_game, estimated
from unshap_plugin.estimators.auto import choose
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.estimators.leave_one_out import LeaveOneOut
from unshap_plugin.estimators.semivalue import Kind, Semivalue, semivalue_of
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.plugins.catalogue import BUILTIN, Registered
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.progress import Progress, check_progress

__all__ = ["chosen_by_name", "leaving_one_out", "values_by_name", "weighted"]


def values_by_name(
    game: Game,
    kind: Kind | None,
    estimator: str,
    budget: int | None,
    seed: int,
    stopping: Stopping,
    progress: Callable[[Progress], object] | None = None,
) -> ValuationResult:
    """Return the values of the players of a game.

    Parameters
    ----------
    kind
        As in ``semivalues``; ``None`` for Shapley values.
    game, estimator, budget, seed, progress
        As there, and in ``shapley_values``.
    stopping
        Rules that end the run.

    Raises
    ------
    UnshapError
        See ``shapley_values``.

    Examples
    --------
    >>> class Glove:
    ...     n_players = 3
    ...     def __call__(self, coalitions):
    ...         left, right, other = coalitions.T
    ...         return (left & (right | other)).astype(float)
    >>> values_by_name(Glove(), None, "auto", None, 0, Stopping()).values.round(3)
    array([0.667, 0.167, 0.167])
    """
    check_progress(progress)
    registered, semivalue, reasons = chosen_by_name(game, kind, estimator, budget, seed, stopping)
    return estimated(game, registered, budget, seed, reasons, progress, semivalue, stopping)


def chosen_by_name(
    game: Game, kind: Kind | None, estimator: str, budget: int | None, seed: int, stopping: Stopping
) -> tuple[Registered[type[Estimator]], Semivalue | None, dict[str, str]]:
    """Return the estimator of a name, the semivalue and the reasons for what was chosen, before any evaluation.

    Parameters
    ----------
    game, kind, estimator, budget, seed, stopping
        As in ``values_by_name``.

    Raises
    ------
    UnshapError
        Where ``values_by_name`` raises before any work.

    Examples
    --------
    >>> class Sizes:
    ...     n_players = 40
    ...     def __call__(self, coalitions):
    ...         return coalitions.sum(axis=1).astype(float)
    >>> registered, semivalue, reasons = chosen_by_name(Sizes(), "banzhaf", "auto", 500, 0, Stopping())
    >>> registered.name, semivalue.name
    ('stratified', 'Banzhaf value')
    """
    check_game(game, budget, seed)
    n = int(game.n_players)
    semivalue = None if kind is None else semivalue_of(kind, n)
    stopping.check_players(n)
    reasons: dict[str, str] = {}
    if isinstance(kind, str) and kind == "loo":
        registered = leaving_one_out(estimator, stopping)
    else:
        if isinstance(estimator, str) and estimator == "auto":
            shapley = kind is None
            chosen, reasons["estimator"] = choose(n, budget, shapley=shapley, assisted=shapley and has_marginals(game))
            estimator = f"{BUILTIN}:{chosen}"
        registered = find_estimator(estimator) if kind is None else weighted(estimator)
    return registered, semivalue, reasons


def leaving_one_out(estimator: str, stopping: Stopping) -> Registered[type[Estimator]]:
    """Return what computes leave-one-out values.

    Raises
    ------
    InvalidValueError
        If an estimator is named, or rules that end an estimate are given: nothing is estimated.

    Examples
    --------
    >>> leaving_one_out("auto", Stopping()).name
    'loo'
    """
    if stopping:
        raise InvalidValueError(
            f"{stopping.called} end an estimate on its way, but leave-one-out values are computed, "
            "not estimated: leave them out."
        )
    if estimator not in ("auto", LeaveOneOut.name):
        raise InvalidValueError(
            f"estimator is {in_short(estimator)}, but leave-one-out values are computed, not estimated: leave it out."
        )
    return Registered(LeaveOneOut, find_estimator(f"{BUILTIN}:exact").provider)


def weighted(estimator: str) -> Registered[type[Estimator]]:
    """Return the estimator of a name, which has other values than Shapley's.

    Raises
    ------
    InvalidValueError
        If it has Shapley values only.
    UnknownNameError, InvalidTypeError
        As from ``find_estimator``.

    Examples
    --------
    >>> weighted("stratified").name
    'stratified'
    """
    registered = find_estimator(estimator)
    if not registered.offer.weighted:
        able = ", ".join(name for name, one in plugins().estimators.usable.items() if one.offer.weighted)
        raise InvalidValueError(
            f"estimator {estimator!r} has Shapley values only, but another semivalue is asked for: use one of auto, "
            f"{able}."
        )
    return registered
