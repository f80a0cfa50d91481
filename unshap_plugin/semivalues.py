"""Semivalues of the players of a game: Banzhaf, Beta Shapley, leave-one-out, or by any weights."""

from __future__ import annotations

from collections.abc import Callable

from unshap_plugin.errors import InvalidValueError, in_short
from unshap_plugin.estimated import Game, check_game, estimated
from unshap_plugin.estimators.auto import choose
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.estimators.leave_one_out import LeaveOneOut
from unshap_plugin.estimators.semivalue import Kind, semivalue_of
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.plugins.catalogue import BUILTIN, Registered
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.progress import Progress

__all__ = ["leaving_one_out", "semivalues", "weighted"]


def semivalues(
    game: Game,
    kind: Kind,
    estimator: str = "auto",
    budget: int | None = None,
    seed: int = 0,
    *,
    target_error: float | str | None = None,
    max_time: float | None = None,
    stable_top: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> ValuationResult:
    """Return other means of marginal contributions than Shapley values.

    ``phi_i = sum over s of weight_s * mean over |S| = s, i not in S, of v(S + i) - v(S)``

    They do not sum to ``v(all) - v(none)``. An ``UnlearningGame`` evaluates no coalition again that it knows, such as
    from other values.

    Parameters
    ----------
    game, budget, seed, target_error, max_time, stable_top, progress
        See ``shapley_values``.
    kind
        ``"banzhaf"`` (Wang & Jia 2023): each of the others is there with probability one half. ``("beta", alpha,
        beta)`` (Kwon & Zou 2022): the larger alpha is, the more small coalitions count; (1, 1) is Shapley. ``"loo"``:
        leave-one-out, what is lost without a player, exactly, from ``n_players + 1`` utilities. Or weights
        ``[n_players]`` of the sizes 0 to ``n_players - 1``, not negative and one in all.
    estimator
        ``"exact"`` (all coalitions, up to 20 players), ``"stratified"``, the name of a plugin's that takes weights, or
        ``"auto"``: exact where all coalitions fit into the budget, else stratified.

    Raises
    ------
    BudgetError
        If the estimator cannot work within the budget.
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
    >>> result = semivalues(Glove(), "banzhaf")
    >>> result.semivalue, result.values
    ('Banzhaf value', array([0.75, 0.25, 0.25]))
    >>> semivalues(Glove(), ("beta", 4, 1)).values.round(3)  # (1, 1) is Shapley
    array([0.333, 0.133, 0.133])
    >>> semivalues(Glove(), "loo").values  # either right glove can be spared
    array([1., 0., 0.])
    >>> semivalues(Glove(), [1, 0, 0]).values.sum().item()  # nobody has anything alone
    0.0
    """
    check_game(game, budget, seed)
    n = int(game.n_players)
    semivalue, reasons = semivalue_of(kind, n), {}
    stopping = Stopping(target_error, max_time, stable_top)
    stopping.check_players(n)
    if isinstance(kind, str) and kind == "loo":
        registered = leaving_one_out(estimator, stopping)
    else:
        if isinstance(estimator, str) and estimator == "auto":
            chosen, reasons["estimator"] = choose(n, budget, shapley=False)
            estimator = f"{BUILTIN}:{chosen}"
        registered = weighted(estimator)
    return estimated(game, registered, budget, seed, reasons, progress, semivalue, stopping)


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
            "target_error, max_time and stable_top end an estimate on its way, but leave-one-out values are computed, "
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
