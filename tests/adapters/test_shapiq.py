"""``unshap_shapiq``: the adapter checks, and what shapiq does with a game of unlearning."""

from __future__ import annotations

import pickle
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import shapiq
from adapter_checks import AdapterChecks, data
from shapiq import ExactComputer, Game
from sklearn.linear_model import LogisticRegression
from unshap_shapiq import UnlearningShapiqGame, pairs

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.plugin import StackedModels, Unlearner

APPROXIMATORS = [
    name
    for name in (
        "KernelSHAP", "LeverageSHAP", "OddSHAP", "OwenSamplingSV", "PermutationSamplingSV", "PolySHAP", "SVARM",
        "StratifiedSamplingSV", "UnbiasedKernelSHAP",
    )
    if hasattr(shapiq.approximator, name)
]  # fmt: skip
INTERACTIONS = ["KernelSHAPIQ", "PermutationSamplingSII", "SHAPIQ", "SVARMIQ"]


def problem(given=None, **kwargs):
    given = data() if given is None else given
    model = LogisticRegression().fit(given.x, given.y)
    test = given.x_test, given.y_test
    return ValuationProblem(model, (given.x, given.y), test, **{"groups": given.groups, **kwargs})


@pytest.fixture(scope="module")
def game():
    return UnlearningGame(problem(), "newton")


def values(found, n=5):
    return np.array([found[(player,)] for player in range(n)])


class TestShapiq(AdapterChecks):
    framework = "shapiq"
    tolerance = 1e-12  # shapiq's own arithmetic on utilities that are ours bit for bit

    def ask(self, data, adapter=None, *, budget=None, seed=0, **settings):
        adapter = UnlearningShapiqGame(problem(data), seed=seed, **settings)
        if budget is None:
            return adapter, values(adapter.exact_values("SV", 1))
        return adapter, values(shapiq.PermutationSamplingSV(n=5, random_state=seed).approximate(budget, adapter))

    def expected(self, data, *, budget=None, seed=0, **settings):
        plain = UnlearningGame(problem(data), seed=seed, **settings)
        estimator = "exact" if budget is None else "shapiq:PermutationSamplingSV"
        return shapley_values(plain, estimator, budget, seed).values

    def pipeline(self, data):
        """Every approximator comes to the exact values; those of all coalitions are exact."""
        adapter = UnlearningShapiqGame(problem(data), unlearner="newton")
        exact = self.expected(data, unlearner="newton")
        for name in APPROXIMATORS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that not all of the budget is needed, or LightGBM would be better
                found = values(getattr(shapiq.approximator, name)(n=5, random_state=0).approximate(10_000, adapter))
            assert np.corrcoef(found, exact)[0, 1] > 0.9, name
            if name == "KernelSHAP":
                np.testing.assert_allclose(found, exact, atol=1e-6)

    def mistakes(self, data):
        two = {"ll": "log_likelihood", "hits": "accuracy"}
        of_two, plain = problem(data, metric=two), UnlearningGame(problem(data), "newton")
        made = UnlearningShapiqGame
        yield lambda: made(of_two), InvalidValueError, "has one utility: ll, hits: name one as part"
        yield lambda: made(of_two, part="hit"), UnknownNameError, "'hit' (did you mean 'hits'?)"
        yield lambda: made(lambda rows: rows), InvalidTypeError, "an UnlearningGame or a ValuationProblem is needed"
        yield lambda: made(plain, seed=1), InvalidTypeError, "seed came with an UnlearningGame"
        excluding = UnlearningGame(problem(data), "newton", on_error="exclude")
        yield lambda: made(excluding), InvalidValueError, "make it with on_error='raise'"
        yield lambda: made(problem(data), unlearner=Fails()).exact_values("SV", 1), DivergenceError, "keeps 3 of 5"


class Fails(Unlearner):
    """Fails for coalitions of three."""

    name = "fails"

    def _unlearn(self, problem, coalitions, seed):
        if (coalitions.sum(axis=1) == 3).any():
            raise RuntimeError("three of them")
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


def test_no_policy_is_advised_where_none_can_be_given():
    with pytest.raises(DivergenceError) as caught:
        UnlearningShapiqGame(problem(), unlearner=Fails()).exact_values("SV", 1)
    assert "on_error" not in str(caught.value)


def test_coalitions_are_taken_in_all_forms_and_centred_on_nobody(game):
    wrapped, plain = UnlearningShapiqGame(game), UnlearningShapiqGame(game, normalize=False)
    rows = np.array([[True, False, True, True, False], [False] * 5])
    expected = game(rows)
    for form in (rows, rows.astype(int), rows.astype(float), [(0, 2, 3), ()], [("a", "c", "d"), ()]):
        np.testing.assert_array_equal(plain(form), expected)
        np.testing.assert_array_equal(wrapped(form), expected - expected[1])
    np.testing.assert_array_equal(plain(rows[0]), expected[:1])
    assert wrapped.is_normalized
    assert not plain.is_normalized
    assert wrapped.player_name_lookup == dict(zip("abcde", range(5), strict=True))
    assert list(wrapped.players) == list("abcde")


def test_an_array_that_was_returned_may_be_changed(game):
    wrapped, rows = UnlearningShapiqGame(game, normalize=False), np.eye(5, dtype=bool)
    before = wrapped(rows).copy()
    for method in (wrapped, wrapped.value_function, game):
        method(rows)[:] = 7
    np.testing.assert_array_equal(wrapped(rows), before)


def test_parts_of_a_metric_are_games_that_share_what_is_evaluated(counted):
    both = UnlearningGame(problem(metric={"ll": "log_likelihood", "hits": "accuracy"}), "newton")
    rows = np.eye(5, dtype=bool)
    likelihood, hits = (UnlearningShapiqGame(both, part=part, normalize=False) for part in ("ll", "hits"))
    np.testing.assert_array_equal(np.stack([likelihood(rows), hits(rows)], axis=1), both(rows))
    assert sum(counted) == 5


@pytest.mark.parametrize("verbose", [False, True])
def test_what_is_asked_for_at_a_time_is_evaluated_at_a_time_and_once(verbose, counted, capsys):
    wrapped = UnlearningShapiqGame(problem(), unlearner="newton", chunk=100, verbose=verbose)
    counted.clear()
    wrapped.precompute()
    assert counted == [30]  # but nobody and everybody
    assert wrapped.precomputed
    wrapped(np.eye(5))
    UnlearningShapiqGame(wrapped.game).exact_values("SII", 2)
    assert counted == [30]
    assert ("Evaluating game" in capsys.readouterr().err) == verbose


@pytest.mark.filterwarnings("ignore:The game has not been precomputed yet")
@pytest.mark.parametrize("name", ["game.json", "game.npz"])
def test_it_is_saved_and_loaded_as_games_of_shapiq_are(name, game, tmp_path):
    wrapped, rows = UnlearningShapiqGame(game), np.array([[True, True, False, False, True]])
    wrapped.save_values(tmp_path / name)
    loaded = Game(5, normalize=False)
    loaded.load_values(tmp_path / name)
    np.testing.assert_array_equal(loaded(rows), wrapped(rows))
    if name == "game.json":
        np.testing.assert_array_equal(UnlearningShapiqGame.load(tmp_path / name)(rows), wrapped(rows))


def test_a_store_keeps_it_for_the_next(tmp_path, counted):
    path = tmp_path / "values.db"
    first = values(UnlearningShapiqGame(problem(), unlearner="newton", store=path).exact_values("SV", 1))
    assert sum(counted) == 31
    counted.clear()
    again = values(UnlearningShapiqGame(problem(), unlearner="newton", store=path).exact_values("SV", 1))
    np.testing.assert_array_equal(first, again)
    assert not counted


def test_a_copy_that_was_pickled_is_the_same_game(game):
    wrapped, rows = UnlearningShapiqGame(game), np.eye(5, dtype=bool)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(wrapped))(rows), wrapped(rows))


@pytest.mark.parametrize("name", INTERACTIONS)
def test_approximators_of_interactions_come_to_the_exact_ones(name, game):
    wrapped = UnlearningShapiqGame(game)
    exact = wrapped.exact_values("SII", 2)
    made = getattr(shapiq.approximator, name)(n=5, max_order=2, index="SII", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = made.approximate(10_000 if "Sampling" in name else 32, wrapped)
    tables = [pairs(one, wrapped.players).set_index(["first", "second"])["interaction"] for one in (found, exact)]
    assert tables[0].corr(tables[1]) > 0.8


def test_who_has_the_same_rows_is_a_substitute_and_the_table_says_so():
    """The rows of one class are those of ``a``, and ``b`` has copies of them."""
    given = data()
    mine = given.y == 1
    x, y = np.concatenate([given.x, given.x[mine]]), np.concatenate([given.y, given.y[mine]])
    rest = np.array(list("cde"))[np.arange(40) % 3]
    groups = np.concatenate([np.where(mine, "a", rest), ["b"] * mine.sum()])
    model = LogisticRegression().fit(x, y)
    asked = ValuationProblem(model, (x, y), (given.x_test, given.y_test), groups=groups)
    wrapped = UnlearningShapiqGame(asked, unlearner="newton")
    found = ExactComputer(game=wrapped, n_players=5)("SII", 2)
    table = pairs(found, wrapped.players)
    assert list(table.columns) == ["first", "second", "interaction", "together"]
    assert [table[name][0] for name in ("first", "second", "together")] == ["a", "b", "substitutes"]
    assert table["interaction"].is_monotonic_increasing
    assert len(table) == 10
    np.testing.assert_allclose(table["interaction"][0], by_definition(wrapped, 0, 1), atol=1e-12)
    figure, _ = found.plot_network(show=False, feature_names=wrapped.players)
    assert len(figure.axes) >= 1
    plt.close(figure)


def by_definition(game, i, j):
    """The Shapley interaction of two of five players: the mean by size of their joint marginal contribution."""
    others = [player for player in range(5) if player not in (i, j)]
    by_size = {size: [] for size in range(4)}
    for bits in range(8):
        rows = np.zeros((4, 5), dtype=bool)
        rows[:, [player for k, player in enumerate(others) if bits >> k & 1]] = True
        rows[[1, 3], i] = True
        rows[[2, 3], j] = True
        none, first, second, both = game(rows)
        by_size[bits.bit_count()].append(both - first - second + none)
    return np.mean([np.mean(one) for one in by_size.values()])


def test_a_table_of_pairs_needs_pairs_of_these_players(game):
    wrapped = UnlearningShapiqGame(game)
    with pytest.raises(InvalidValueError, match=r"of order 1, but those of two players are needed"):
        pairs(wrapped.exact_values("SV", 1), wrapped.players)
    with pytest.raises(InvalidValueError, match=r"there are 2 players, but interactions of 5"):
        pairs(wrapped.exact_values("SII", 2), ["a", "b"])


@pytest.mark.parametrize("index", ["SII", "k-SII", "STII", "FSII"])
def test_players_that_only_add_up_are_independent(index):
    class Sum(Game):
        def value_function(self, coalitions):
            return coalitions @ np.array([0.1, 0.2, 0.3, 0.7])

    found = ExactComputer(game=Sum(4, normalize=False), n_players=4)(index, 2)
    assert any(found[(i, j)] for j in range(4) for i in range(j)), "there is round-off"
    assert set(pairs(found, "abcd")["together"]) == {"independent"}
