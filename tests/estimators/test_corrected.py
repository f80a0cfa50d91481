"""Values of a dear game that cheap ones help to estimate: twins by enumeration, no bias, and errors that are true."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unshap_plugin.errors import BudgetError, InvalidValueError
from unshap_plugin.estimators import Exact, Stratified
from unshap_plugin.estimators.corrected import Corrected
from unshap_plugin.estimators.cross_fitting import _steps
from unshap_plugin.estimators.helpers import Helpers
from unshap_plugin.estimators.semivalue import semivalue_of
from unshap_plugin.estimators.sizes import sizes_of
from unshap_plugin.estimators.surrogates import Assisted, assisted
from unshap_plugin.estimators.surrogates.gaussian_process import LENGTHS, NOISES, covariance
from unshap_plugin.estimators.surrogates.linear import features_of


def table_game(table):
    """A game given as its utilities ``[2**n]`` or ``[2**n, t]`` by bit mask (player i is bit i)."""
    weights = 1 << np.arange(len(table).bit_length() - 1)
    return lambda coalitions: np.asarray(table, dtype=float)[coalitions @ weights]


def two_games(n, seed, noise=0.05, rough=0.3):
    """The utilities of a dear game, rough on top of smooth, and those of one that goes along with it, off by much."""
    rng = np.random.default_rng(seed)
    z = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    shared = np.sqrt(z @ rng.gamma(2.0, size=n)) + rough * rng.normal(size=2**n)
    own = z @ rng.normal(size=n) / 3
    return shared + noise * rng.normal(size=2**n), 2.5 * shared + own


def run(dear, cheap, budget, seed, help_budget=None, weights=None):
    n = len(dear).bit_length() - 1
    helpers = Helpers([table_game(one) for one in cheap], n, help_budget, seed, weights)
    helpers.learn()
    return Corrected(n, budget, seed, weights, helpers=helpers).run(table_game(dear))


def exact(table, weights=None):
    return Exact(len(table).bit_length() - 1, None, 0, weights).run(table_game(table)).values


def some_pairs(n, m, seed):
    """Smaller members of different pairs."""
    rng = np.random.default_rng(seed)
    every = [np.isin(np.arange(n), one) for size in range(1, n // 2 + 1) for one in combinations(range(n), size)]
    return np.array(every)[rng.permutation(len(every))[:m]]


# The surrogate.


def one_by_one(pairs, half, u, counts, even, like):
    """Multiples and predictions, each surrogate by its own matrix, and each pair left out in turn."""
    m, q = u.shape
    counts, flat = counts / counts.sum(), features_of(pairs, even)
    trust = min(1.0, (assisted.FEW * pairs.shape[1] / m) ** assisted.FASTER)
    groups = [*([k] for k in range(q)), *([list(range(q))] if q > 1 else [])]
    found = []
    kernels = [(flat @ flat.T, assisted.NOISES_OF_LINEAR)]
    kernels += [(covariance(pairs, pairs, length, even), NOISES) for length in LENGTHS]
    for kernel, noises in kernels:
        for noise in noises:
            for group in [[], *groups]:
                for whole in [None, *range(like)]:
                    rest = half if whole is None else half - u[:, whole]
                    scaled = u[:, group] / np.sqrt((u[:, group] ** 2).mean(axis=0))
                    prior = kernel + assisted.STRENGTH * scaled @ scaled.T
                    missed = []
                    for out in range(m):
                        others = np.arange(m) != out
                        inner = prior[np.ix_(others, others)] + noise * np.eye(m - 1)
                        missed.append(rest[out] - prior[out, others] @ np.linalg.solve(inner, rest[others]))
                    squares = np.square(missed)
                    all_ = prior + noise * np.eye(m)
                    weights = np.linalg.solve(all_, rest)
                    likely = -m / 2 * np.log(rest @ weights / m) - np.linalg.slogdet(all_)[1] / 2
                    errors = -m / 4 * (np.log(squares.mean()) + np.log(counts @ squares))
                    share = 1.0
                    if group or whole is not None:
                        share = 1 / assisted.STRONG / (len(groups) * (1 + like) if group else like)
                    if whole is not None or min([*group, q]) < like:
                        share /= assisted.DECISIVE
                    multiples = np.zeros(q)
                    multiples[group] = assisted.STRENGTH * scaled.T @ weights / np.sqrt((u[:, group] ** 2).mean(axis=0))
                    if whole is not None:
                        multiples[whole] += 1
                    found.append((trust * likely + (1 - trust) * errors + np.log(share), multiples, kernel @ weights))
    top = np.exp(np.array([one[0] for one in found]) - max(one[0] for one in found))
    top /= top.sum()
    return top @ np.array([one[1] for one in found]), top @ np.array([one[2] for one in found])


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("m", "like"), [(6, 1), (20, 2), (20, 0)])
def test_the_surrogate_is_the_average_of_fits_one_by_one(even, m, like):
    rng = np.random.default_rng(m)
    pairs, u = some_pairs(6, m, 0), rng.normal(size=(m, 2))
    half, counts = rng.normal(size=m) / 2 + u[:, 0], rng.uniform(0.5, 2, size=m)
    found = Assisted(pairs, half[:, None], u[:, None], counts, even, like)
    multiples, predicted = one_by_one(pairs, half, u, counts, even, like)
    np.testing.assert_allclose(found.multiples[0], multiples, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.predict(pairs)[:, 0], predicted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("n", [5, 6])
def test_its_shares_are_those_of_enumeration(n, even):
    rng = np.random.default_rng(n)
    pairs, sizes = some_pairs(n, 9, 1), sizes_of(semivalue_of(("beta", 4, 1), n).weights)
    half, u = rng.normal(size=(9, 2)), rng.normal(size=(9, 2, 1))
    found = Assisted(pairs, half, u, np.ones(9), even)
    part, weight = sizes.parts[even], rng.uniform(1, 2, size=n // 2)
    expected = np.zeros((n, 2))
    for size in range(1, n // 2 + 1):
        every = np.array([np.isin(np.arange(n), one) for one in combinations(range(n), size)])
        g = np.where(every, part.inside[size - 1], part.outside[size - 1])
        expected += weight[size - 1] * np.einsum("mn,mt->nt", g, found.predict(every)) / len(every)
    np.testing.assert_allclose(found.shares(part, weight), expected, atol=1e-9)


def test_units_of_features_and_columns_beside_do_not_matter():
    rng = np.random.default_rng(0)
    pairs, half, u = some_pairs(7, 15, 2), rng.normal(size=(15, 3)), rng.normal(size=(15, 3, 2))
    all_, counts = Assisted(pairs, half, u, np.ones(15)), np.ones(15)
    one = Assisted(pairs, half[:, 1:2], 1000 * u[:, 1:2], counts)
    np.testing.assert_allclose(1000 * one.multiples[0], all_.multiples[1], rtol=1e-8)
    np.testing.assert_allclose(one.predict(pairs)[:, 0], all_.predict(pairs)[:, 1], atol=1e-9)


def test_features_of_nothing_have_no_multiple():
    rng = np.random.default_rng(0)
    pairs = some_pairs(6, 12, 0)
    found = Assisted(pairs, rng.normal(size=(12, 1)), np.zeros((12, 1, 1)), np.zeros(12))
    assert (found.multiples == 0).all()
    nothing = Assisted(pairs[:0], np.zeros((0, 1)), np.zeros((0, 1, 1)), np.zeros(0))
    assert (nothing.predict(pairs) == 0).all()


# No bias.


@pytest.mark.slow
@pytest.mark.parametrize(("sampled", "kind", "seeds"), [(False, "shapley", 200), (True, ("beta", 4, 1), 100)], ids=str)
def test_there_is_no_bias_whatever_the_helper_is(sampled, kind, seeds):
    """With a helper that is grossly wrong, known as a whole or itself sampled."""
    n = 5
    dear, _ = two_games(n, 3)
    weights = None if kind == "shapley" else semivalue_of(kind, n).weights
    wrong = -4 * dear + 2 * np.random.default_rng(5).normal(size=2**n) + 3 * (np.arange(2**n) & 1)
    found = [run(dear, [wrong], 18, seed, 16 if sampled else None, weights) for seed in range(seeds)]
    values = np.array([one.values for one in found])
    off = values.mean(axis=0) - exact(dear, weights)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert (np.abs(off) < 3 * error).all()
    assert (error < 0.03).all(), "else any bias would pass"
    stated = np.mean([one.std_errors**2 for one in found], axis=0) / values.var(axis=0, ddof=1)
    assert ((stated > 0.7) & (stated < 5)).all(), "of few pairs it is too large rather than too small"


@pytest.mark.slow
@pytest.mark.parametrize("helped", [False, True])
def test_values_of_one_end_have_errors_though_only_a_players_own_pair_counts(helped):
    """Of what each player adds to nothing: most players' coalitions are not among those that are drawn."""
    n, weights = 8, np.eye(8)[0]
    dear, cheap = two_games(n, 6, rough=1.0)
    truth = dear[1 << np.arange(n)] - dear[0]
    np.testing.assert_allclose(exact(dear, weights), truth)
    off, stated = [], []
    for seed in range(40):
        one = run(dear, [cheap], 10, seed, None, weights) if helped else None
        one = one or Stratified(n, 10, seed, weights=weights).run(table_game(dear))
        off.append(one.values - truth)
        stated.append(one.std_errors)
    assert (np.array(stated) > 0).all()
    assert 0.5 < np.sqrt(np.mean(np.square(off))) / np.sqrt(np.mean(np.square(stated))) < 1.5


# What it is worth.


def errors_and_cover(make, values, runs):
    errors, covered = [], []
    for seed in range(runs):
        found = make(seed)
        errors.append(((found.values - values) ** 2).sum())
        half = stats.t.ppf(0.975, found.degrees_of_freedom) * found.std_errors
        covered.append((np.abs(found.values - values) <= half).mean())
    return np.mean(errors), np.mean(covered)


@pytest.mark.slow
def test_a_helper_that_goes_along_helps_and_one_that_does_not_costs_nothing():
    n, runs = 7, 15
    dear, cheap = two_games(n, 1)
    noise, values = np.random.default_rng(0).normal(size=2**n), exact(dear)
    alone, _ = errors_and_cover(lambda seed: Stratified(n, 40, seed).run(table_game(dear)), values, runs)
    helped, covered = errors_and_cover(lambda seed: run(dear, [cheap], 40, seed), values, runs)
    useless, _ = errors_and_cover(lambda seed: run(dear, [noise], 40, seed), values, runs)
    both, _ = errors_and_cover(lambda seed: run(dear, [noise, cheap], 40, seed), values, runs)
    assert helped < alone / 3
    assert both < alone / 3
    assert useless < 1.25 * alone, "by 15 runs; the benchmark measures it"
    assert covered > 0.9


def test_the_error_of_a_sampled_helper_is_part_of_the_error():
    """Of a helper that is the dear game itself nothing else is left."""
    n, budget = 7, 40
    dear, _ = two_games(n, 2)
    whole = run(dear, [dear], 26, 0)
    assert ((whole.values - exact(dear)) ** 2).sum() < 0.01 * (exact(dear) ** 2).sum()
    found = [run(dear, [dear], 26, seed, budget) for seed in range(12)]
    off = np.array([one.values for one in found]) - exact(dear)
    stated = np.array([one.std_errors for one in found])
    assert stated.mean() > 1.5 * whole.std_errors.mean()
    assert 0.7 < np.sqrt((off**2).mean()) / np.sqrt((stated**2).mean()) < 1.4


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 7), sampled=st.booleans())
def test_values_keep_their_sum_and_are_exact_of_all_coalitions(seed, n, sampled):
    dear, cheap = two_games(n, seed)
    some = run(dear, [cheap], min(2**n, max(6, 3 * n)), seed, max(6, 2 * n + 2) if sampled else None)
    assert some.values.sum() == pytest.approx(dear[-1] - dear[0], abs=1e-9)
    whole = run(dear, [cheap], 2**n, seed)
    np.testing.assert_allclose(whole.values, exact(dear), atol=1e-9)
    assert (whole.std_errors == 0).all()


# Errors of zero.


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(5, 7), wrong=st.integers(0, 2), stepped=st.booleans())
def test_errors_are_zero_only_where_nothing_is_left_to_see_or_nothing_moves_in_steps(seed, n, wrong, stepped):
    """A helper that foretells all but a few coalitions: what is drawn may well show none of them."""
    rng = np.random.default_rng(seed)
    z = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    cheap = np.sqrt(z @ rng.gamma(2.0, size=n)) + rng.normal(size=2**n) / 5
    cheap = np.round(10 * cheap) / 40 if stepped else cheap
    dear = cheap.copy()
    dear[rng.choice(np.arange(1, 2**n - 1), wrong, replace=False)] += 0.025
    found = run(dear, [cheap], 3 * n, seed)
    if stepped:
        assert (found.std_errors > 0).all()
        assert found.std_errors.max() < 0.1 * np.abs(dear).max()
    elif not wrong:
        assert (found.std_errors < 1e-6).all()
    assert (run(dear, [cheap], 2**n, seed).std_errors == 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(4, 7), kind=st.sampled_from(["constant", "additive", "by size", "one"]))
def test_games_without_steps_have_errors_of_zero(seed, n, kind):
    """Constant ones, those of worths that are added up, of size alone, and of one player who does it all."""
    rng = np.random.default_rng(seed)
    z = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    worths = {"constant": np.zeros(n), "by size": np.ones(n), "additive": rng.normal(size=n), "one": 3 * np.eye(n)[0]}
    dear = np.sqrt(z @ worths[kind]) if kind == "by size" else 1 + z @ worths[kind]
    found = run(dear, [dear], 3 * n, seed)
    np.testing.assert_allclose(found.values, exact(dear), atol=1e-6)
    if kind != "one":
        assert (found.std_errors < 1e-6).all()


@settings(deadline=None)
@given(st.integers(1, 400), st.lists(st.integers(-50, 50), min_size=2, max_size=20))
def test_steps_are_the_greatest_common_divisor_of_differences(parts, counts):
    half = np.array(counts)[:, None] / parts
    gaps = np.diff(sorted(counts))
    expected = np.gcd.reduce(gaps) / parts
    one = np.ones(len(counts), dtype=int)
    np.testing.assert_allclose(_steps(half, one), expected, rtol=1e-9)
    assert _steps(half, np.arange(len(counts)) + 1) == 0, "of one each nothing can be told"


def test_vectors_are_valued_column_by_column_also_with_exclusions():
    n = 6
    games = [two_games(n, seed) for seed in (1, 2)]
    dear, cheap = (np.stack(one, axis=1) for one in zip(*games, strict=True))
    dear[9, 1] = cheap[5] = np.nan
    found = run(dear, [cheap, cheap**2], 30, 0)
    for k in range(2):
        one = run(dear[:, k], [cheap[:, k], cheap[:, k] ** 2], 30, 0)
        np.testing.assert_allclose(found.values[:, k], one.values, atol=1e-9)
        np.testing.assert_allclose(found.std_errors[:, k], one.std_errors, rtol=1e-6)


def test_helpers_have_values_of_their_own():
    dear, cheap = two_games(6, 4)
    helpers = Helpers([table_game(dear), table_game(cheap)], 6, None, 0)
    helpers.learn()
    for one, table in zip(helpers.alone(), (dear, cheap), strict=True):
        np.testing.assert_allclose(one.values[:, 0], exact(table), atol=1e-9)
        assert (one.std_errors == 0).all()


def test_how_many_are_asked_for_at_a_time_changes_nothing():
    dear, cheap = two_games(7, 5)
    helpers = Helpers([table_game(cheap)], 7, None, 3)
    helpers.learn()
    found = []
    for block in (2, 10, 1000):
        method = Corrected(7, 40, 3, helpers=helpers)
        while True:
            method.block = block
            coalitions = method.ask()
            if not len(coalitions):
                break
            method.tell(coalitions, table_game(dear)(coalitions))
        found.append(method.estimate().values)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_refusals():
    dear, cheap = two_games(8, 0)
    with pytest.raises(BudgetError, match="18 evaluations of 8 players; give that"):
        run(dear, [cheap], 30, 0, 17)
    with pytest.raises(InvalidValueError, match=r"measure \[1, 2\] things"):
        run(dear, [cheap, np.stack([cheap, cheap], axis=1)], 30, 0)
    with pytest.raises(InvalidValueError, match="measures 1 things, but those that help it 2"):
        run(dear, [np.stack([cheap, cheap], axis=1)], 30, 0)
