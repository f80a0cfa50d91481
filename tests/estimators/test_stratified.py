"""The stratified estimator against formulas by enumeration, and its standard errors against the truth."""

from __future__ import annotations

import time
from itertools import combinations
from math import comb

import brute
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unshap_plugin.errors import BudgetError, UnknownNameError
from unshap_plugin.estimators import Exact, Permutation, Stratified
from unshap_plugin.estimators.semivalue import semivalue_of
from unshap_plugin.estimators.sizes import Along, sizes_of
from unshap_plugin.estimators.stratified import least_budget
from unshap_plugin.estimators.surrogates import SURROGATES, fit, gaussian_process, linear


def table_game(table):
    """A game given as its utilities ``[2**n]`` or ``[2**n, t]`` by bit mask (player i is bit i)."""
    weights = 1 << np.arange(len(table).bit_length() - 1)
    return lambda coalitions: np.asarray(table, dtype=float)[coalitions @ weights]


def smooth(n, seed):
    """The utilities of a game of some curvature, some synergies, and some noise."""
    rng = np.random.default_rng(seed)
    z = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    worth, pairs = rng.gamma(2.0, size=n), rng.normal(size=(n, n)) / 5
    return np.sqrt(z @ worth) + ((z @ pairs) * z).sum(axis=1) / 5 + rng.normal(size=2**n) / 20


def exact(table):
    return Exact(len(table).bit_length() - 1, None, 0).run(table_game(table)).values


def along(row):
    """``g(S)`` of Shapley, written as it is defined."""
    n, size = len(row), sum(row)
    return np.array([1 / size if kept else -1 / (n - size) for kept in row])


def by_enumeration(fitted, n, size, g=along):
    """The mean of ``f(S) g(S)`` over all ``S`` of a size."""
    every = [np.isin(np.arange(n), members) for members in combinations(range(n), size)]
    return np.mean([fitted.predict(row[None])[0] * g(row)[:, None] for row in every], axis=0)


def of_a_pair(row, weights):
    """What ``v(S)`` and ``v(N - S)`` are multiplied with in the values, ``[2, n]``, times the number of such pairs."""
    n = len(row)

    def factor(kept):
        size = sum(kept)
        into = [weights[size - 1] / comb(n - 1, size - 1), -weights[size] / comb(n - 1, size)]
        return np.array([into[0] if one else into[1] for one in kept])

    pairs = comb(n, sum(row)) / (2 if 2 * sum(row) == n else 1)
    return pairs * np.array([factor(row), factor(~row)])


SHAPLEY = "shapley"
KINDS = [SHAPLEY, "banzhaf", ("beta", 4, 1), ("beta", 1, 8), "small", "loo"]


def weights_of(kind, n):
    if kind == SHAPLEY:
        return np.full(n, 1 / n)
    if kind == "small":  # nothing for the others
        return np.bincount([0, 1], minlength=n)[:n] / np.bincount([0, 1], minlength=n)[:n].sum()
    return semivalue_of(kind, n).weights


def naive(method, game, surrogate, weights):
    """Values, variances and degrees of freedom, stratum by stratum and fold by fold, as the formulas are written."""
    n = method.n_players
    ends = game(np.array([[False] * n, [True] * n]))
    smaller, larger = (game(pairs) - ends.mean() for pairs in (method._pairs, ~method._pairs))
    values, variances = np.full(n, (weights[0] + weights[-1]) / 2 * (ends[1] - ends[0])), []
    symmetric = np.allclose(weights, weights[::-1], atol=1e-15)
    halves = {False: (smaller - larger) / 2} | ({} if symmetric else {True: (smaller + larger) / 2})
    fits = {
        (j, even): fit(method._pairs[method._fold != j], half[method._fold != j][:, None], surrogate, even)
        for j in set(method._fold)
        for even, half in halves.items()
    }

    def into(row, even):
        first, second = of_a_pair(row, weights)
        return first + second if even else first - second

    sizes = sizes_of(weights)
    for k, stratum in enumerate(method._strata):
        # Of several sizes each was drawn as often as its share of the mass says, and counts the inverse.
        share = dict(
            zip(stratum.sizes, sizes.mass[stratum.sizes - 1] / sizes.mass[stratum.sizes - 1].sum(), strict=True)
        )
        rows = np.flatnonzero(method._stratum == k)
        each = {row: method._pairs[row] for row in rows}
        if stratum.drawn == stratum.population:
            known = [sum(half[row] * into(each[row], even) for even, half in halves.items()) for row in rows]
            values += np.mean(known, axis=0)
            continue
        counted, squares = 0, []
        for j in set(method._fold):
            held = [row for row in rows if method._fold[row] == j]
            seen = [row for row in rows if method._fold[row] != j]
            if not held:
                continue
            missed = {
                row: sum(
                    (half[row] - fits[j, even].predict(pair[None])[0, 0]) * into(pair, even)
                    for even, half in halves.items()
                )
                / share[pair.sum()]
                for row, pair in each.items()
            }
            mean = sum(
                by_enumeration(fits[j, even], n, size, lambda row, even=even: into(row, even))[:, 0]
                for size in stratum.sizes
                for even in halves
            )
            rest = stratum.population - len(seen)
            known = sum((missed[row] for row in seen), np.zeros(n))
            mean = mean + (known + rest * np.mean([missed[row] for row in held], axis=0)) / stratum.population
            counted += len(held) / len(rows) * mean
            squares += [missed[row] ** 2 for row in held]
        values += counted
        variance = (1 - len(rows) / stratum.population) * np.mean(squares, axis=0) / (len(rows) - 1)
        variances.append((variance, len(rows) - 1))
    total = sum(one for one, _ in variances)
    return values, total, total**2 / sum(one**2 / freedom for one, freedom in variances)


@pytest.mark.parametrize("kind", [("beta", 4, 1), "banzhaf"], ids=str)
@pytest.mark.parametrize(("n", "budget"), [(7, 37), (7, 12), (6, 30)])
def test_semivalues_and_their_errors_are_those_of_the_formulas(n, budget, kind):
    weights, game = weights_of(kind, n), table_game(smooth(n, 1) - 3)
    method = Stratified(n, budget, 3, weights=weights)
    result = method.run(game)
    values, variance, freedom = naive(method, game, "chosen", weights)
    np.testing.assert_allclose(result.values, values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.std_errors, np.sqrt(variance), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.degrees_of_freedom, freedom, rtol=1e-6)


@pytest.mark.parametrize("surrogate", [*SURROGATES, "chosen"])
@pytest.mark.parametrize(("n", "budget"), [(6, 42), (7, 37), (7, 12), (6, 9), (4, 11)])
def test_values_and_errors_are_those_of_the_formulas(n, budget, surrogate):
    game = table_game(smooth(n, 1))
    method = Stratified(n, budget, 3, surrogate)
    result = method.run(game)
    values, variance, freedom = naive(method, game, surrogate, np.full(n, 1 / n))
    np.testing.assert_allclose(result.values, values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.std_errors, np.sqrt(variance), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.degrees_of_freedom, freedom, rtol=1e-6)


@pytest.mark.parametrize("even", [False, True], ids=["odd", "even"])
@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)
@pytest.mark.parametrize("n", [2, 3, 4, 7, 8])
def test_the_shares_of_a_surrogate_are_those_by_enumeration(surrogate, n, even):
    rng = np.random.default_rng(n)
    rows = np.array([rng.permutation(n) < size for size in rng.integers(1, n // 2 + 1, 12)])
    fitted = surrogate(rows, rng.normal(size=(12, 2)), even)
    sign = 1 if even else -1
    np.testing.assert_allclose(fitted.predict(rows), sign * fitted.predict(~rows), rtol=0, atol=1e-12)
    g = Along(*rng.normal(size=(2, n // 2)))
    for size in range(1, n // 2 + 1):
        weight = np.zeros(n // 2)
        weight[size - 1] = 1
        expected = by_enumeration(
            fitted, n, size, lambda row: np.where(row, *(one[sum(row) - 1] for one in (g.inside, g.outside)))
        )
        # A process may weigh its pairs with numbers up to the inverse of its noise.
        np.testing.assert_allclose(fitted.shares(g, weight), expected, rtol=0, atol=1e-12 if not even else 1e-10)


@pytest.mark.parametrize("even", [False, True], ids=["odd", "even"])
@pytest.mark.parametrize("n", [2, 5, 6])
def test_the_means_of_a_kernel_are_those_by_enumeration(n, even):
    function = np.cosh if even else np.sinh
    own, absent, joined, left = gaussian_process.means_of_kernel(1.2, n, even)
    for t in range(n // 2 + 1):
        inside = np.arange(n) < t
        for s in range(1, n // 2 + 1):
            every = np.array([np.isin(np.arange(n), members) for members in combinations(range(n), s)])
            k = function(1.2 * (1 - 2 * (every ^ inside).sum(axis=1) / n)) / function(1.2)
            for player, there, not_there in ((0, own, absent), (n - 1, joined, left)):
                if inside[player] == (there is own):
                    np.testing.assert_allclose(there[t, s - 1], np.mean(k * every[:, player]), rtol=0, atol=1e-14)
                    np.testing.assert_allclose(not_there[t, s - 1], np.mean(k * ~every[:, player]), rtol=0, atol=1e-14)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.integers(-100, 100), min_size=2**n, max_size=2**n)),
    st.sampled_from(KINDS),
)
@settings(deadline=None, max_examples=60)
def test_all_coalitions_give_semivalues_by_enumeration(table, kind):
    n = len(table).bit_length() - 1
    weights = weights_of(kind, n)
    game = table_game(table)
    expected = brute.semivalues(lambda keep: game(keep[None])[0], n, lambda size: weights[size] / comb(n - 1, size))
    for method in (Exact, Stratified):
        result = method(n, 2**n, 0, weights=weights).run(game)
        np.testing.assert_allclose(result.values, expected, rtol=0, atol=1e-9)
        assert (result.std_errors == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["banzhaf", ("beta", 16, 1)], ids=str)
def test_intervals_of_semivalues_cover_them(kind):
    n, runs = 7, 25
    weights, game = weights_of(kind, n), table_game(smooth(n, 5) + 20)
    right = Exact(n, None, 0, weights=weights).run(game).values
    covered, biases = [], []
    for seed in range(runs):
        result = Stratified(n, 7 * n, seed, weights=weights).run(game)
        half = stats.t.ppf(0.975, result.degrees_of_freedom) * result.std_errors
        covered.append(np.abs(result.values - right) <= half + 1e-12)
        biases.append(result.values - right)
    assert np.mean(covered) > 0.9
    error = np.std(biases, axis=0, ddof=1) / np.sqrt(runs)
    assert (np.abs(np.mean(biases, axis=0)) < 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)
def test_errors_of_pairs_left_out_are_those_of_fits_without_them(surrogate, monkeypatch):
    """With the settings that were chosen for all pairs."""
    table, n = smooth(6, 2), 6
    rng = np.random.default_rng(0)
    rows = np.unique([rng.permutation(n) < size for size in rng.integers(1, 4, 25)], axis=0)
    odd = (table_game(table)(rows) - table_game(table)(~rows))[:, None] / 2
    whole = surrogate(rows, odd)
    if surrogate.name == "linear":
        errors = {}
        for penalty in linear.PENALTIES:
            monkeypatch.setattr(linear, "PENALTIES", np.array([penalty]))
            errors[penalty] = surrogate(rows, odd).error[0]
        penalty = min(errors, key=errors.get)
        assert whole.error[0] == pytest.approx(errors[penalty], rel=1e-9)
        features = linear.features_of(rows)
        size = penalty * np.trace(features.T @ features) / np.linalg.matrix_rank(features)
        missed = []
        for k in range(len(rows)):
            other = np.arange(len(rows)) != k
            gram = features[other].T @ features[other] + size * np.eye(features.shape[1])
            missed.append(odd[k, 0] - features[k] @ np.linalg.solve(gram, features[other].T @ odd[other, 0]))
    else:
        [(length, noise)] = gaussian_process._chosen(rows, odd)
        covariance = gaussian_process.covariance(rows, rows, length)
        missed = []
        for k in range(len(rows)):
            other = np.arange(len(rows)) != k
            within = covariance[np.ix_(other, other)] + noise * np.eye(len(rows) - 1)
            missed.append(odd[k, 0] - covariance[k, other] @ np.linalg.solve(within, odd[other, 0]))
    assert whole.error[0] == pytest.approx(np.mean(np.square(missed)), rel=1e-6)


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.integers(-100, 100), min_size=2**n, max_size=2**n)))
@settings(deadline=None, max_examples=60)
def test_all_pairs_give_the_definition_without_error(table):
    n = len(table).bit_length() - 1
    result = Stratified(n, 2**n, 0).run(table_game(table))
    np.testing.assert_allclose(result.values, exact(table), rtol=0, atol=1e-9)
    assert (result.std_errors == 0).all()
    assert np.isinf(result.degrees_of_freedom).all()


@given(st.integers(3, 6), st.integers(0, 60), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_values_sum_to_the_difference_of_the_ends(n, more, seed):
    table = np.random.default_rng(seed).normal(size=2**n)
    result = Stratified(n, least_budget(n) + more, seed).run(table_game(table))
    assert result.values.sum() == pytest.approx(table[-1] - table[0], abs=1e-9)
    assert (result.degrees_of_freedom >= 1).all()


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=9))
@settings(deadline=None, max_examples=30)
def test_additive_games_need_few_pairs(weights):
    n = len(weights)
    result = Stratified(n, 6 * n, 0, "linear").run(lambda c: c @ np.array(weights, dtype=float))
    np.testing.assert_allclose(result.values, weights, atol=5e-3)  # of up to 100: fits have a little ridge
    assert (result.std_errors < 1e-3).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "budget"), [(4, 8), (5, 20), (6, 10), (6, 30)])
def test_values_are_right_in_the_mean(n, budget):
    table = np.random.default_rng(n).normal(size=2**n)  # nothing that a surrogate could learn
    runs = [Stratified(n, budget, seed, "linear").run(table_game(table)) for seed in range(250)]
    values = np.array([run.values for run in runs])
    error = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(values.mean(axis=0) - exact(table)) < 4.5 * error).all()
    claimed = np.sqrt(np.mean([run.std_errors**2 for run in runs], axis=0))
    assert (claimed > 0.85 * values.std(axis=0)).all()


@pytest.mark.slow
def test_intervals_cover_the_exact_values():
    n, runs = 8, 60
    table = smooth(n, 5)
    covered = []
    for seed in range(runs):
        result = Stratified(n, 8 * n, seed).run(table_game(table))
        half = stats.t.ppf(0.975, result.degrees_of_freedom) * result.std_errors
        covered.append(np.abs(result.values - exact(table)) <= half)
    assert 0.91 < np.mean(covered) < 0.99


def test_errors_fall_faster_than_those_of_permutations():
    n = 9
    table = smooth(n, 6)
    mean = {}
    for method in (Permutation, Stratified):
        runs = [method(n, 10 * n, seed).run(table_game(table)).values for seed in range(30)]
        mean[method] = np.mean((np.array(runs) - exact(table)) ** 2)
    assert mean[Stratified] < mean[Permutation] / 5


def test_columns_are_those_of_each_alone():
    n = 6
    table = np.stack([smooth(n, seed) for seed in (7, 8, 9)], axis=1)
    for budget in (9, 30, 50):
        many = Stratified(n, budget, 0).run(table_game(table))
        for t in range(3):
            one = Stratified(n, budget, 0).run(table_game(table[:, t]))
            for name in ("values", "std_errors", "degrees_of_freedom"):
                np.testing.assert_allclose(getattr(many, name)[:, t], getattr(one, name), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 60, 400])
@pytest.mark.parametrize("budget", [0, 1, 7, 130, None])
def test_the_budget_is_kept_and_used(n, budget):
    if budget is not None and budget < least_budget(n):
        with pytest.raises(BudgetError, match=rf"budget={budget} is too small: .* {least_budget(n)} evaluations"):
            Stratified(n, budget, 0)
        return
    method = Stratified(n, budget, 0, "linear")
    asked = np.concatenate([*iter_asked(method)])
    assert len(asked) == method.total
    assert 0 <= min(budget or max(5_000, 4 * n), 2**n) - len(asked) < 2
    assert asked[0].sum() == 0
    assert asked[1].sum() == n
    np.testing.assert_array_equal(asked[2::2], ~asked[3::2])
    assert np.isfinite(method.estimate().values).all()


def iter_asked(method):
    while len(coalitions := method.ask()):
        yield coalitions
        method.tell(coalitions, np.sqrt(coalitions.sum(axis=1)))


def test_excluded_coalitions_drop_their_pairs():
    n = 6
    table = smooth(n, 11)
    broken = table.copy()
    broken[0b001011] = np.nan
    every = Stratified(n, 64, 0).run(table_game(broken))
    # Of half the players, the mean over the other pairs stands for the one that is lost.
    odd = (table - table[::-1]) / 2
    rows = (np.arange(64)[:, None] >> np.arange(n) & 1).astype(bool)
    halves = [k for k in range(64) if rows[k].sum() == 3 and rows[k, 0]]
    lost = np.mean([odd[k] * along(rows[k]) for k in halves if k != 0b001011], axis=0)
    whole = np.mean([odd[k] * along(rows[k]) for k in halves], axis=0)
    np.testing.assert_allclose(every.values, exact(table) + lost - whole, rtol=0, atol=1e-12)
    few = Stratified(n, 44, 2).run(table_game(broken))
    assert few.values.sum() == pytest.approx(table[-1] - table[0], abs=1e-9)
    assert np.abs(few.values - exact(table)).max() < 0.2


def test_what_one_metric_cannot_measure_another_can():
    table = np.stack([smooth(6, seed) for seed in (12, 13)], axis=1)
    table[[0b000011, 0b010101], 1] = np.nan
    many = Stratified(6, 44, 0).run(table_game(table))
    for t in range(2):
        one = Stratified(6, 44, 0).run(table_game(table[:, t]))
        np.testing.assert_allclose(many.values[:, t], one.values, rtol=0, atol=1e-9)
        np.testing.assert_allclose(many.std_errors[:, t], one.std_errors, rtol=1e-6)


def test_a_surrogate_of_another_name_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown surrogate 'gpp' \(did you mean 'gp'\?\)"):
        Stratified(4, 10, 0, "gpp")


def test_many_players_are_valued_in_seconds():
    begin = time.process_time()
    result = Stratified(500, 3000, 0).run(lambda c: np.tanh(c @ np.linspace(-1, 3, 500) / 150))
    assert time.process_time() - begin < 30
    assert np.corrcoef(result.values, np.linspace(-1, 3, 500))[0, 1] > 0.9
