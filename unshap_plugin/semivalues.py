"""Semivalues of the players of a game: Banzhaf, Beta Shapley, leave-one-out, or by any weights."""

from __future__ import annotations

from collections.abc import Callable

from unshap_plugin.by_name import values_by_name
from unshap_plugin.estimated import Game, check_game
from unshap_plugin.estimators.semivalue import Kind, semivalue_of
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.progress import Progress

__all__ = ["semivalues"]


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
    semivalue_of(kind, int(game.n_players))  # of which nothing is none
    stopping = Stopping(target_error, max_time, stable_top)
    return values_by_name(game, kind, estimator, budget, seed, stopping, progress)
