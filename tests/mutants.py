"""Two correct estimators, and small changes to them that are wrong."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import permutations
from math import comb
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def masks_of(n):
    return np.arange(1 << n)


def table(game):
    """Return the utilities of all coalitions, by bit mask."""
    n = game.n_players
    return game((masks_of(n)[:, None] >> np.arange(n) & 1).astype(bool))


def weigh(v, weights):
    """Return the values for the utilities by bit mask and the weights by coalition size."""
    masks = masks_of(len(weights))
    values = []
    for player in range(len(weights)):
        without = masks[masks >> player & 1 == 0]
        sizes = (without[:, None] >> np.arange(len(weights)) & 1).sum(axis=1)
        values.append(np.asarray(weights)[sizes] @ (v[without | 1 << player] - v[without]))
    return np.array(values)


def shapley_weights(n):
    return [1 / (n * comb(n - 1, size)) for size in range(n)]


def exact(game):
    """Shapley values by the definition."""
    return weigh(table(game), shapley_weights(game.n_players))


def banzhaf(game):
    return weigh(table(game), [0.5 ** (game.n_players - 1)] * game.n_players)


def leave_one_out(game):
    n = game.n_players
    v = game(np.vstack([np.ones((1, n), dtype=bool), ~np.eye(n, dtype=bool)]))
    return v[0] - v[1:]


def beta_4_1(game):
    """Beta(4, 1): the weight of a coalition of size s is B(s + 1, n - 1 - s + 4) / B(4, 1)."""
    n = game.n_players
    top = np.cumprod([1.0, *np.arange(1, n)])  # rising factorials of 1
    bottom = np.cumprod([1.0, *np.arange(4, n + 3)])  # and of 4
    return weigh(table(game), [top[s] * bottom[n - 1 - s] / np.prod(np.arange(5.0, n + 4)) for s in range(n)])


@dataclass
class Sampler:
    """Permutation sampling with standard errors; every field is a place where it can be wrong."""

    orders: Any = lambda self, rng, n, count: [rng.permutation(n) for _ in range(count)]
    contributions: Any = lambda self, steps: steps
    count: Any = lambda self, n, budget: budget // (n + 1)
    std_error: Any = lambda self, samples: np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    rng: Any = lambda self, seed: np.random.default_rng(seed)
    values: Any = lambda self, samples: samples.mean(axis=0)
    __name__: str = "sampler"

    def __call__(self, game, budget=100, seed=0):
        n = game.n_players
        samples = []
        for order in self.orders(self, self.rng(self, seed), n, self.count(self, n, budget)):
            chain = np.argsort(order)[None, :] < np.arange(n + 1)[:, None]
            sample = np.zeros(n)
            sample[order] = self.contributions(self, np.diff(game(chain)))
            samples.append(sample)
        samples = np.array(samples)
        return SimpleNamespace(values=self.values(self, samples), std_errors=self.std_error(self, samples))


SAMPLER = dict(exact=False, std_errors=True)


@dataclass
class Mutant:
    """A wrong estimator, the check that has to see it, and what that check has to say."""

    name: str
    check: str
    make: Any  # a new one for every test, since some have a state
    says: str
    traits: dict[str, Any] = field(default_factory=dict)


def changed(change):
    """The exact estimator with its values changed by a function of (values, utilities by bit mask)."""

    def mutant(game):
        v = table(game)
        return change(weigh(v, shapley_weights(game.n_players)), v)

    return lambda: mutant


def sampling(**changes):
    return lambda: Sampler(**changes)


def of(function):
    return lambda: function


def one_off(values, v):
    values[-1] += 1e-3
    return values


def swapped(values, v):
    values[:2] = values[:2][::-1].copy()
    return values


def wrong_split(values, v):
    return np.full_like(values, values.sum() / len(values))


def pays_null_players(values, v):
    return 0.99 * values + 0.01 * values.sum() / len(values)


def prefers_the_first_of_equals(values, v):
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if abs(values[i] - values[j]) < 1e-12:
                values[i], values[j] = values[i] + 1e-3, values[j] - 1e-3
                return values
    return values


def shares(values, v):
    """Shares of the total: fine for one game, not for a sum of two."""
    total = np.abs(values).sum()
    return values / total if total else values


def without_v_of_nothing(game):
    v = table(game)
    v[0] = 0.0
    return weigh(v, shapley_weights(game.n_players))


def first_position_dropped(game):
    weights = shapley_weights(game.n_players)
    return weigh(table(game), [0.0, *weights[1:]])


def mean_for_sum(game):
    """The mean of the weighted contributions, times the number of sizes: right only by accident."""
    n = game.n_players
    return weigh(table(game), shapley_weights(n)) * n / 2 ** (n - 1)


def in_half_precision(game):
    return weigh(table(game).astype(np.float16), shapley_weights(game.n_players)).astype(np.float16)


def in_single_precision(game):
    return exact(game).astype(np.float32)


def truncated(game):
    """Orders are cut as soon as the utility is within a tenth of that of all players."""
    n, v = game.n_players, table(game)
    totals, orders = np.zeros(n), list(permutations(range(n)))
    for order in orders:
        mask = 0
        for player in order:
            if abs(v[-1] - v[mask]) <= 0.1 * abs(v[-1]):
                break
            totals[player] += v[mask | 1 << player] - v[mask]
            mask |= 1 << player
    return totals / len(orders)


def errors_become_zero(*errors):
    def mutant(game):
        n = game.n_players
        v = []
        for mask in masks_of(n):
            try:
                v.append(float(game((mask >> np.arange(n) & 1).astype(bool)[None])[0]))
            except errors:
                v.append(0.0)
        return weigh(np.array(v), shapley_weights(n))

    return lambda: mutant


def integers_first(game):
    n = game.n_players
    try:
        v = game(masks_of(n)[:, None] >> np.arange(n) & 1)
    except TypeError:
        v = table(game)
    return weigh(v, shapley_weights(n))


def rows_as_vectors(game):
    n = game.n_players
    with suppress(ValueError):
        game(np.ones(n, dtype=bool))
    return exact(game)


def caching(key):
    def make():
        known = {}

        def mutant(game):
            if key(game) not in known:
                known[key(game)] = exact(game)
            return known[key(game)].copy()

        return mutant

    return make


def caching_utilities():
    known = {}

    def mutant(game):
        n = game.n_players
        for mask in masks_of(n):
            row = (mask >> np.arange(n) & 1).astype(bool)
            if row.tobytes() not in known:
                known[row.tobytes()] = game(row[None])[0]
        v = np.array([known[(mask >> np.arange(n) & 1).astype(bool).tobytes()] for mask in masks_of(n)])
        return weigh(v, shapley_weights(n))

    return mutant


def reusing_its_buffer():
    buffers = {}

    def mutant(game):
        buffer = buffers.setdefault(game.n_players, np.zeros(game.n_players))
        buffer[:] = exact(game)
        return buffer

    return mutant


def moving(move):
    def mutant(game):
        move()
        return exact(game)

    return lambda: mutant


def counting():
    """The seed and the number of calls so far make the random numbers."""
    calls = [0]

    def rng(self, seed):
        calls[0] += 1
        return np.random.default_rng([seed, calls[0]])

    return Sampler(rng=rng)


def borrowing(self, seed):
    """Numbers from the global generator, whose state is put back: nothing moves, but the seed counts for nothing."""
    state = np.random.get_state()
    drawn = np.random.randint(2**31)
    np.random.set_state(state)
    return np.random.default_rng([drawn, seed])


def with_errors(first, others=None):
    """Return an estimator whose standard errors are these; NaN for all players would mean that there are none."""
    rest = first if others is None else others
    return lambda: (
        lambda game: SimpleNamespace(values=exact(game), std_errors=np.array([first] + [rest] * (game.n_players - 1)))
    )


def zero_last(self, steps):
    return np.append(steps[:-1], 0.0)


def cut(self, steps):
    """Truncation: contributions after the chain came near its end are left out."""
    left = np.abs(np.cumsum(steps[::-1])[::-1])
    return np.where(np.maximum.accumulate(left[::-1])[::-1] > 0.3 * abs(steps.sum()), steps, 0.0)


def rotations(self, rng, n, count):
    """Orders that start anywhere, but go round in one direction."""
    return [np.roll(np.arange(n), rng.integers(n)) for _ in range(count)]


def shuffled_naively(self, rng, n, count):
    """Every place is swapped with any other one: not all orders are equally likely."""
    orders = []
    for _ in range(count):
        order = np.arange(n)
        for here, there in enumerate(rng.integers(n, size=n)):
            order[here], order[there] = order[there], order[here]
        orders.append(order)
    return orders


def not_shuffled_at_first(self, rng, n, count):
    return [np.arange(n), *(rng.permutation(n) for _ in range(count - 1))]


def never_last_first(self, rng, n, count):
    """Draws from which the orders that begin with the last player are missing."""
    orders = []
    while len(orders) < count:
        order = rng.permutation(n)
        if n == 1 or order[0] != n - 1:
            orders.append(order)
    return orders


def wrong_for(n, factor):
    """Standard errors that are wrong for one number of players only."""

    def std_error(self, samples):
        right = np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
        return right * factor if samples.shape[1] == n else right

    return std_error


wrong_for_six, wrong_for_two = wrong_for(6, 3.0), wrong_for(2, 0.0)


def identity_for_six(self, rng, n, count):
    orders = [rng.permutation(n) for _ in range(count)]
    return [np.arange(n)] * 3 + orders[3:] if n == 6 else orders


def caching_by_ends():
    known = {}

    def estimate(game):
        ends = game(np.array([[False] * game.n_players, [True] * game.n_players]))
        key = (game.n_players, *ends)
        if key not in known:
            known[key] = exact(game)
        return known[key]

    return estimate


def reusing_its_errors():
    right, buffers = Sampler(), {}

    def estimate(game, budget=100, seed=0):
        result = right(game, budget, seed)
        buffer = buffers.setdefault(game.n_players, np.zeros(game.n_players))
        buffer[:] = result.std_errors
        return SimpleNamespace(values=result.values, std_errors=buffer)

    return estimate


def truncating(share):
    """Truncated Monte Carlo: contributions count as nothing once the rest is a small share of the whole."""

    def contributions(self, steps):
        rest = np.abs(steps[::-1].cumsum()[::-1])
        return np.where(rest < share * abs(steps.sum()), 0.0, steps)

    return contributions


MUTANTS = [
    # What comes back
    Mutant("nan_for_a_player", "result", changed(lambda x, v: np.where(np.arange(len(x)) == 0, np.nan, x)), "finite"),
    Mutant("infinite_value", "result", changed(lambda x, v: x + np.inf), "finite"),
    Mutant("a_column", "result", changed(lambda x, v: x[:, None]), "one number per player"),
    Mutant("a_player_missing", "result", changed(lambda x, v: x[1:]), "one number per player"),
    Mutant("words", "result", changed(lambda x, v: ["much"] * len(x)), "not numbers"),
    Mutant("std_errors_missing", "result", of(exact), "no standard errors", dict(std_errors=True)),
    Mutant("std_errors_negative", "result", with_errors(-1.0), "negative"),
    Mutant("std_errors_nan_for_one", "result", with_errors(np.nan, 0.1), "finite"),
    # How the game is asked
    Mutant("integer_matrix", "coalitions", of(integers_first), "boolean matrix is needed"),
    Mutant("rows_as_vectors", "coalitions", of(rows_as_vectors), "one column per player"),
    # Efficiency
    Mutant("banzhaf_weights", "efficiency", of(banzhaf), "do not sum to"),
    Mutant("mean_used_for_sum", "efficiency", of(mean_for_sum), "do not sum to"),
    Mutant("truncation_in_the_sampler", "efficiency", sampling(contributions=cut), "do not sum to", SAMPLER),
    Mutant("last_position_ignored", "efficiency", sampling(contributions=zero_last), "do not sum to", SAMPLER),
    # Symmetry
    Mutant("first_of_equals_preferred", "symmetry", changed(prefers_the_first_of_equals), "differ"),
    Mutant("orders_go_round", "symmetry", sampling(orders=rotations), "differ", dict(exact=False)),
    # Null player
    Mutant("null_player_paid", "null_player", changed(pays_null_players), "is paid"),
    Mutant("null_player_paid_a_little", "null_player", changed(lambda x, v: x + 1e-6), "is paid"),
    # Linearity, scaling, shift, duality
    Mutant("shares_of_the_total", "linearity", changed(shares), "not the sums"),
    Mutant("largest_value_capped", "linearity", changed(lambda x, v: np.minimum(x, 2.0)), "not the sums"),
    Mutant("rounded", "scaling", changed(lambda x, v: np.round(x, 3)), "multiple"),
    Mutant("squashed", "scaling", changed(lambda x, v: np.tanh(x)), "multiple"),
    Mutant("v_of_nothing_forgotten", "shift", of(without_v_of_nothing), "adding 7 to every utility"),
    Mutant("relative_to_all", "shift", changed(lambda x, v: x / v[-1] if v[-1] else x), "adding 7 to every utility"),
    Mutant("beta_called_shapley", "duality", of(beta_4_1), "dual game differ"),
    Mutant("last_position_thinned", "duality", sampling(contributions=zero_last), "dual game differ", SAMPLER),
    # Renaming
    Mutant("players_swapped", "renaming", changed(swapped), "do not follow"),
    Mutant("sorted_values", "renaming", changed(lambda x, v: np.sort(x)), "do not follow"),
    # Agreement
    Mutant("one_player_off", "agreement", changed(one_off), "not the Shapley values"),
    Mutant("sum_right_split_wrong", "agreement", changed(wrong_split), "not the Shapley values"),
    Mutant("leave_one_out_called_shapley", "agreement", of(leave_one_out), "not the Shapley values"),
    Mutant("first_position_dropped", "agreement", of(first_position_dropped), "not the Shapley values"),
    Mutant("absolute_values", "agreement", changed(lambda x, v: np.abs(x)), "not the Shapley values"),
    Mutant("opposite_sign", "agreement", changed(lambda x, v: -x), "not the Shapley values"),
    Mutant("float16", "agreement", of(in_half_precision), "not the Shapley values"),
    Mutant("float32", "agreement", of(in_single_precision), "not the Shapley values"),
    Mutant("truncation", "agreement", of(truncated), "not the Shapley values"),
    Mutant("shapley_called_banzhaf", "agreement", of(exact), "not the Banzhaf values", dict(semivalue="banzhaf")),
    Mutant("beta_turned_round", "agreement", of(beta_4_1), "not the Beta(1, 4) values", dict(semivalue=("beta", 1, 4))),
    Mutant(
        "one_player_off_in_the_sampler",
        "agreement",
        sampling(values=lambda self, s: one_off(s.mean(axis=0), None)),
        "in the mean over 40 runs",
        SAMPLER,
    ),
    Mutant("truncated_at_1_percent", "efficiency", sampling(contributions=truncating(0.01)), "sum to what", SAMPLER),
    Mutant("truncated_at_0.1_percent", "agreement", sampling(contributions=truncating(1e-3)), "40 runs", SAMPLER),
    Mutant("complex_values", "result", lambda: lambda game: exact(game) + 1e-3j, "are not numbers"),
    Mutant("values_as_text", "result", lambda: lambda game: [str(value) for value in exact(game)], "are not numbers"),
    Mutant("median_for_mean", "agreement", sampling(values=lambda self, s: np.median(s, axis=0)), "40 runs", SAMPLER),
    Mutant("orders_left_out", "agreement", sampling(orders=never_last_first), "40 runs", SAMPLER),
    Mutant("not_shuffled_at_first_for_six", "bias", sampling(orders=identity_for_six), "right on average", SAMPLER),
    Mutant("shuffled_naively", "bias", sampling(orders=shuffled_naively), "right on average", SAMPLER),
    Mutant("not_shuffled_at_first", "bias", sampling(orders=not_shuffled_at_first), "right on average", SAMPLER),
    # Randomness
    Mutant("unseeded", "determinism", sampling(rng=lambda self, seed: np.random.default_rng()), "two calls", SAMPLER),
    Mutant("global_state_borrowed", "determinism", sampling(rng=borrowing), "two calls", SAMPLER),
    Mutant("calls_counted", "determinism", counting, "two calls", SAMPLER),
    Mutant("seed_ignored", "seed", sampling(rng=lambda self, seed: np.random.default_rng(0)), "same values", SAMPLER),
    Mutant("seed_modulo_2", "seed", sampling(rng=lambda self, s: np.random.default_rng(s % 2)), "same values", SAMPLER),
    Mutant("numpy_seeded", "global_rng", moving(lambda: np.random.seed(0)), "state of numpy"),
    Mutant("numpy_drawn", "global_rng", moving(np.random.random), "state of numpy"),
    Mutant("random_drawn", "global_rng", moving(random.random), "state of random"),
    Mutant("torch_drawn", "global_rng", moving(lambda: torch.rand(1)), "state of torch"),
    # State
    Mutant("cache_of_utilities", "no_memory", caching_utilities, "played after another one"),
    Mutant("cache_by_ends", "no_memory", caching_by_ends, "played after another one"),
    Mutant("errors_reused", "no_memory", reusing_its_errors, "changed when another one was played", SAMPLER),
    Mutant("cache_by_size", "no_memory", caching(lambda game: game.n_players), "played after another one"),
    Mutant("cache_by_address", "no_memory", caching(id), "played after another one"),
    Mutant("buffer_reused", "no_memory", reusing_its_buffer, "changed when another one was played"),
    # Errors of the game
    Mutant("every_error_is_zero", "errors", errors_become_zero(Exception), "was lost"),
    Mutant("value_errors_are_zero", "errors", errors_become_zero(ValueError), "was lost"),
    Mutant("arithmetic_errors_are_zero", "errors", errors_become_zero(ArithmeticError), "was lost"),
    *(
        Mutant(f"{kind.__name__}_is_zero", "errors", errors_become_zero(kind), "was lost")
        for kind in (FloatingPointError, MemoryError, OSError, LookupError, TypeError, AssertionError, RuntimeError)
    ),
    # Budget
    Mutant("budget_ignored", "budget", sampling(count=lambda self, n, b: 100 // (n + 1)), "than the budget", SAMPLER),
    Mutant("ten_orders_at_least", "budget", sampling(count=lambda self, n, b: max(10, b // (n + 1))), "than", SAMPLER),
    Mutant(
        "large_budget_exceeded", "budget", sampling(count=lambda self, n, b: b // (n + 1) + (b > 150)), "than", SAMPLER
    ),
    Mutant(
        "one_order_too_many", "budget", sampling(count=lambda self, n, b: b // (n + 1) + 1), "than the budget", SAMPLER
    ),
    Mutant("ends_not_counted", "budget", sampling(count=lambda self, n, b: b // n), "than the budget", SAMPLER),
    Mutant("declared_budget_exceeded", "budget", of(exact), "than the budget", dict(budget=8)),
    # Standard errors
    Mutant(
        "std_errors_ten_times_too_small",
        "std_errors",
        sampling(std_error=lambda self, s: np.std(s, axis=0, ddof=1) / np.sqrt(len(s)) / 10),
        "as large as the standard errors claim",
        SAMPLER,
    ),
    Mutant(
        "std_errors_ten_times_too_large",
        "std_errors",
        sampling(std_error=lambda self, s: np.std(s, axis=0, ddof=1) / np.sqrt(len(s)) * 10),
        "as large as the standard errors claim",
        SAMPLER,
    ),
    Mutant(
        "std_errors_half_as_large_again",
        "std_errors",
        sampling(std_error=lambda self, s: 1.5 * np.std(s, axis=0, ddof=1) / np.sqrt(len(s))),
        "as large as the standard errors claim",
        SAMPLER,
    ),
    Mutant(
        "deviation_called_error",
        "std_errors",
        sampling(std_error=lambda self, s: np.std(s, axis=0, ddof=1)),
        "as large as the standard errors claim",
        SAMPLER,
    ),
    Mutant(
        "std_errors_of_the_wrong_player",
        "std_errors",
        sampling(std_error=lambda self, s: np.roll(np.std(s, axis=0, ddof=1) / np.sqrt(len(s)), 1)),
        "as large as the standard errors claim",
        SAMPLER,
    ),
    Mutant("std_errors_wrong_for_six", "std_errors", sampling(std_error=wrong_for_six), "as large as", SAMPLER),
    Mutant("std_errors_wrong_for_two", "std_errors", sampling(std_error=wrong_for_two), "as large as", SAMPLER),
    Mutant("exact_with_std_errors", "std_errors", with_errors(0.1), "as large as the standard errors claim"),
]
