"""
Check a method's axioms
=======================

Somebody wrote an estimator of Shapley values, and its numbers look fine. Are they Shapley values? The conformance suite
plays small games with it whose values are known exactly.
"""

import numpy as np
from unshap_conformance import check_estimator, table


def permutations(game, budget=1000, seed=0, truncate=True):
    """Marginal contributions along random orders; what comes after most of the utility is reached is taken for zero."""
    rng, n = np.random.default_rng(seed), game.n_players
    rounds = []
    for _ in range(budget // (n + 1)):
        order = rng.permutation(n)
        kept = np.tri(n + 1, n, -1, dtype=bool)[:, np.argsort(order)]
        utilities = game(kept)
        gains = np.diff(utilities)
        if truncate:
            gains[np.abs(utilities[-1] - utilities[:-1]) < 0.1 * np.abs(utilities[-1] - utilities[0])] = 0.0
        rounds.append(gains[np.argsort(order)])
    return np.mean(rounds, axis=0)


# %%
# Truncation, which saves utilities in Monte Carlo data Shapley, is built into this one. Values then lack a little of
# what they should add up to:

CHECKS = ["efficiency", "symmetry", "null_player", "determinism", "global_rng"]
results = check_estimator(permutations, budget=200, checks=CHECKS, on_fail="collect")
print(table(results))

# %%
# The first failure in its own words:

print(next(one for one in results if one.status == "failed"))

# %%
# Without truncation it passes:


def whole(game, budget=1000, seed=0):
    """Return the same, of all marginal contributions."""
    return permutations(game, budget, seed, truncate=False)


results = check_estimator(whole, budget=200, checks=CHECKS, on_fail="collect")
assert {one.status for one in results} <= {"passed", "skipped"}
print(table(results))

# %%
# A test suite has all of it in three lines (``parametrize_with_checks``), for unlearners and for OpenDataVal's
# evaluators too: :doc:`/conformance`. What others' methods keep: :doc:`/axioms_of_opendataval`,
# :doc:`/axioms_of_peers`.
