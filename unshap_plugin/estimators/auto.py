"""``auto``: which estimator a game gets."""

from __future__ import annotations

__all__ = ["choose"]

#: All coalitions of so many players take fewer evaluations than sampling needs for standard errors that are of use.
MAX_EXACT = 10


def choose(n_players: int, budget: int | None) -> tuple[str, str]:
    """Return the name of the estimator for so many players, and why it is that one.

    Examples
    --------
    >>> choose(3, None)
    ('exact', 'all 8 coalitions of 3 players can be evaluated')
    """
    if n_players > MAX_EXACT:
        return "permutation", f"2**{n_players} coalitions of {n_players} players are too many to evaluate all"
    total = 1 << n_players
    if budget is not None and budget < total:
        return "permutation", f"the budget does not suffice for all {total} coalitions"
    return "exact", f"all {total} coalitions of {n_players} players can be evaluated"
