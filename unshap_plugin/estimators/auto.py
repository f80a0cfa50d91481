"""``auto``: which estimator a game gets."""

from __future__ import annotations

from unshap_plugin.estimators import exact, permutation, stratified
from unshap_plugin.estimators.surrogates import LARGEST

__all__ = ["choose"]


def choose(n_players: int, budget: int | None, *, shapley: bool = True, assisted: bool = False) -> tuple[str, str]:
    """Return the name of the estimator for so many players, and why it is that one.

    Permutations and compositions are for ``shapley`` values alone, the latter where the game has covariates
    (``assisted``).

    Examples
    --------
    >>> choose(3, None)
    ('exact', 'all 8 coalitions of 3 players can be evaluated')
    >>> choose(40, 400)[0], choose(2_000, None)[0]
    ('stratified', 'permutation')
    """
    most = stratified.DEFAULT_BUDGET if budget is None else budget
    if n_players <= exact.MAX_PLAYERS and 1 << n_players <= most:
        return "exact", f"all {1 << n_players} coalitions of {n_players} players can be evaluated"
    too_many = f"2**{n_players} coalitions of {n_players} players are more than {most} evaluations"
    if not shapley:
        return "stratified", too_many
    if assisted and n_players <= LARGEST:
        return "composite", f"{too_many}, and the unlearner knows marginal contributions to first order"
    if n_players <= LARGEST:
        return "stratified", f"{too_many}, of which it needs fewer than permutations for the same error"
    if budget is None or budget >= permutation.least_budget(n_players):
        return "permutation", f"{too_many}, and of more than {LARGEST:,} players surrogates learn too little"
    return "stratified", f"{too_many}, and too few for two pairs of permutations"
