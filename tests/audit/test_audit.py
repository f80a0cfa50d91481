"""The audit: its figures against plain loops and planted errors, its coalitions, report and messages."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from bits import assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import BY_SIZE, PER_PLAYER, Idle, Planted, answer, constant_problem, halves, planted
from problems import early_stopped
from scipy.stats import pearsonr, spearmanr

from unshap_plugin import FidelityReport, UnlearningGame, ValuationProblem, audit, shapley_values
from unshap_plugin.audit.agreement import Agreement, Bounds, agreement, bounds, exact_values, residuals
from unshap_plugin.audit.sizes import draw, size_ranges
from unshap_plugin.audit.verdict import Verdict, judge, sentence
from unshap_plugin.errors import (
    AccessError,
    DivergenceError,
    InvalidTypeError,
    InvalidValueError,
    UnknownNameError,
)

NAMES = [field.name for field in dataclasses.fields(Agreement)]


def every(n):
    rows = np.array(list(itertools.product([False, True], repeat=n)))
    return rows[np.argsort(rows.sum(axis=1), kind="stable")]


def same(ours, theirs):
    assert (math.isnan(ours) and math.isnan(theirs)) or ours == pytest.approx(theirs, abs=1e-9), (ours, theirs)


# The figures, against loops that follow the definitions.


def naive_rank_correlation(a, b):
    if len(set(a)) < 2 or len(set(b)) < 2:
        return math.nan
    return float(spearmanr(a, b)[0])


def naive_agreement(u, r, given_utility, population):
    s, m = r.shape
    pairs = [(k, j) for k in range(s) for j in range(k)]
    error = sum(abs(u[i] - r[k, i]) for k in range(s) for i in range(m)) / (s * m)
    per_row = [sum(abs(u[i] - r[k, i]) for k in range(s)) / s for i in range(m)]
    if m >= population:
        se = 0.0
    elif m == 1:
        se = math.nan
    else:
        se = math.sqrt(sum((e - error) ** 2 for e in per_row) / (m - 1) / m * (1 - m / population))
    return Agreement(
        count=m,
        error=error,
        error_se=se,
        noise_error=sum(abs(r[k, i] - r[j, i]) for k, j in pairs for i in range(m)) / (len(pairs) * m),
        nothing_error=sum(abs(given_utility - r[k, i]) for k in range(s) for i in range(m)) / (s * m),
        bias=sum(u[i] - sum(r[:, i]) / s for i in range(m)) / m,
        spearman=sum(naive_rank_correlation(u, r[k]) for k in range(s)) / s,
        noise_spearman=sum(naive_rank_correlation(r[k], r[j]) for k, j in pairs) / len(pairs),
    )


def naive_bounds(rows, u, r):
    s, n = len(r), rows.shape[1]
    e = [u[i] - sum(r[:, i]) / s for i in range(len(u))]
    ranges, explained, total = [], 0.0, 0.0
    within, within_r = [], [[] for _ in r]
    for size in range(n + 1):
        members = [i for i in range(len(u)) if rows[i].sum() == size]
        k, possible = len(members), math.comb(n, size)
        if k == 0 or (k == 1 and possible > 1):
            continue
        mean = sum(e[i] for i in members) / k
        variance = 0.0
        if k > 1:
            ranges.append(max(e[i] for i in members) - min(e[i] for i in members))
            variance = sum((e[i] - mean) ** 2 for i in members) / (k - 1) * (possible - 1) / possible
            for target, values in [(within, u), *zip(within_r, r, strict=True)]:
                target += [values[i] - np.mean([values[j] for j in members]) for i in members]
        squares = sum(e[i] ** 2 for i in members)
        total += squares
        explained += squares - k * variance
    pairs = [(k, j) for k in range(s) for j in range(k)]
    return Bounds(
        values=2 * max(abs(one) for one in e),
        differences=sum(ranges) / len(ranges) if ranges else math.nan,
        size_share=min(max(explained / total, 0.0), 1.0) if total > 0 else math.nan,
        spearman_within=sum(naive_rank_correlation(within, one) for one in within_r) / s,
        noise_spearman_within=sum(naive_rank_correlation(within_r[k], within_r[j]) for k, j in pairs) / len(pairs),
    )


@st.composite
def audited(draw_, complete=False):
    """Coalitions and utilities; eighths, so that there are ties and no round-off."""
    n = draw_(st.integers(1, 5))
    rows = every(n)
    if not complete:
        keep = draw_(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
        keep[-1] = True
        rows = rows[np.array(keep)]
    rng = np.random.default_rng(draw_(st.integers(0, 2**32 - 1)))
    spread, seeds = draw_(st.sampled_from([1, 3, 40])), draw_(st.integers(2, 4))
    utilities = rng.integers(-spread, spread + 1, (seeds + 1, len(rows))) / 8
    return rows, utilities[0], utilities[1:]


@settings(max_examples=150, deadline=None)
@given(audited(), st.integers(-8, 8))
def test_the_figures_are_those_of_plain_loops(case, eighths):
    rows, u, r = case
    population = 2 ** rows.shape[1]
    ours, theirs = agreement(u, r, eighths / 8, population), naive_agreement(u, r, eighths / 8, population)
    for name in NAMES:
        same(getattr(ours, name), getattr(theirs, name))


@settings(max_examples=150, deadline=None)
@given(audited())
def test_the_bounds_are_those_of_plain_loops(case):
    rows, u, r = case
    # Rank correlations have a test of their own: here round-off decides between residuals that are equal.
    ours, theirs = bounds(rows, u, r), naive_bounds(rows, u, r)
    for field in dataclasses.fields(Bounds):
        if not field.name.endswith("within"):
            same(getattr(ours, field.name), getattr(theirs, field.name))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.integers(2, 3))
def test_rank_correlations_at_equal_size_are_those_of_plain_loops(n, seed, seeds):
    rows = every(n)
    u, *r = np.random.default_rng(seed).normal(size=(seeds + 1, len(rows)))  # no ties
    ours, theirs = bounds(rows, u, np.array(r)), naive_bounds(rows, u, np.array(r))
    same(ours.spearman_within, theirs.spearman_within)
    same(ours.noise_spearman_within, theirs.noise_spearman_within)


@settings(max_examples=100, deadline=None)
@given(audited(complete=True))
def test_bounds_hold_for_the_values(case):
    rows, u, r = case
    off = exact_values(rows, u) - exact_values(rows, r.mean(axis=0))
    limits = bounds(rows, u, r)
    assert (np.abs(off) <= limits.values + 1e-12).all()
    if rows.shape[1] > 1:
        assert np.ptp(off) <= limits.differences + 1e-12
        assert limits.differences <= limits.values + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.05]),
)
def test_a_planted_error_is_recovered(n, seed, size_scale, player_scale, noise_scale):
    rng = np.random.default_rng(seed)
    rows = every(n)
    sizes = rows.sum(axis=1)
    by_size, per_player = size_scale * rng.normal(size=n + 1), player_scale * rng.normal(size=n)
    per_player -= per_player.mean()  # what is left depends on the players alone
    truth = rng.normal(size=len(rows))
    noise = noise_scale * rng.normal(size=(2, len(rows)))
    retrained = truth + np.stack([noise[0], -noise[0]])  # whose mean is the truth
    error = planted(rows, by_size, per_player) + noise[1]
    unlearned = truth + error
    figures, limits = agreement(unlearned, retrained, 0.5, 2**n), bounds(rows, unlearned, retrained)
    same(figures.noise_error, np.abs(2 * noise[0]).mean())
    same(figures.bias, error.mean())
    same(figures.nothing_error, np.abs(0.5 - retrained).mean())
    same(limits.values, 2 * np.abs(error).max())
    for size in range(n + 1):
        here = sizes == size
        same(agreement(unlearned[here], retrained[:, here], 0.5, here.sum()).bias, error[here].mean())
    if noise_scale == 0:
        same(figures.error, np.abs(error).mean())
        spread = sum(math.comb(n, s) * np.var((rows @ per_player)[sizes == s]) for s in range(n + 1))
        total = np.square(error).sum()
        # Squares below the round-off of utilities of size 1 are no error that could have a share.
        if total > 1e-20:
            same(limits.size_share, 1 - spread / total)
        ranges = [np.ptp((rows @ per_player)[sizes == s]) for s in range(1, n)]
        same(limits.differences, np.mean(ranges))
        values = exact_values(rows, unlearned) - exact_values(rows, truth)
        np.testing.assert_allclose(values, per_player + (by_size[n] - by_size[0]) / n, atol=1e-9)


def test_an_error_that_depends_on_the_size_alone_cannot_change_a_ranking():
    rng = np.random.default_rng(0)
    rows = every(5)
    truth, by_size = rng.normal(size=32), rng.normal(size=6)
    unlearned = truth + by_size[rows.sum(axis=1)]
    limits = bounds(rows, unlearned, np.stack([truth, truth]))
    assert limits.size_share == pytest.approx(1, abs=1e-12)
    assert limits.differences == pytest.approx(0, abs=1e-12)
    assert limits.spearman_within == pytest.approx(1)
    assert limits.values > 1
    off = exact_values(rows, unlearned) - exact_values(rows, truth)
    np.testing.assert_allclose(off, (by_size[5] - by_size[0]) / 5, atol=1e-12)


def test_weights_make_squared_residuals_unbiased():
    """Over all samples of k of the coalitions of a size, the weighted squares estimate the variance among all."""
    rows = every(4)
    rows = rows[rows.sum(axis=1) == 2]
    values = np.random.default_rng(0).normal(size=6)
    for k in (2, 3, 6):
        estimates = []
        for chosen in itertools.combinations(range(6), k):
            residual, weight = residuals(rows[list(chosen)], values[list(chosen)])
            estimates.append((weight * residual**2).mean())
        assert np.mean(estimates) == pytest.approx(values.var())
    assert np.isnan(residuals(rows[:1], values[:1])[1]).all()
    assert residuals(np.ones((1, 4), dtype=bool), values[:1])[1].tolist() == [0.0]


# The coalitions.


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 40), st.integers(2, 150), st.integers(0, 2**40))
def test_coalitions_are_stratified_distinct_and_repeatable(n, count, seed):
    ranges = size_ranges(n)
    least = sum(min(2, one.count(n)) for one in ranges)
    if count < least:
        with pytest.raises(InvalidValueError, match=f"give at least {least}"):
            draw(n, count, seed)
        return
    rows = draw(n, count, seed)
    sizes = rows.sum(axis=1)
    assert rows.dtype == bool
    assert rows.shape[1] == n
    assert len(rows) <= count
    assert len({row.tobytes() for row in rows}) == len(rows)
    assert (np.diff(sizes) >= 0).all()
    assert not rows[0].any()
    assert rows[-1].all()
    numbers = [int(((sizes >= one.first) & (sizes <= one.last)).sum()) for one in ranges]
    assert sum(numbers) == len(rows), "every size is in one range"
    most = max(numbers)
    assert all(number == min(most, one.count(n)) for number, one in zip(numbers, ranges, strict=True))
    spare = count - len(rows)
    assert spare < len(ranges) or len(rows) == 2**n, "as many as fit"
    assert np.array_equal(rows, draw(n, count, seed))
    if 2**n <= count:
        assert len(rows) == 2**n
    if n > 10:
        assert not np.array_equal(rows, draw(n, count, seed + 1))


@pytest.mark.parametrize(("n", "expected"), [(2, 4), (8, 256), (9, 98), (11, 98), (200, 98), (3000, 98)])
def test_few_players_are_enumerated_by_default(n, expected):
    assert len(draw(n, None, 0)) == expected


def test_ranges_are_sizes_for_few_players_and_quarters_for_more():
    assert [one.name for one in size_ranges(3)] == ["none", "1", "2", "all"]
    assert [one.name for one in size_ranges(1)] == ["none", "all"]
    assert [one.name for one in size_ranges(200)] == ["none", "1-50", "51-100", "101-150", "151-199", "all"]
    sizes = np.unique(draw(200, 100, 0).sum(axis=1), return_counts=True)
    assert (sizes[1][1:-1] == 4).all(), "sizes have several coalitions each, so that their effect can be told"


def test_nearly_all_coalitions_of_a_quarter_can_be_drawn():
    rows = draw(12, 4000, 0)
    sizes = rows.sum(axis=1)
    assert (np.bincount(sizes)[:4] == [1, 12, 66, 220]).all()
    assert len({row.tobytes() for row in rows}) == len(rows)


# End to end.


def test_an_audit_recovers_a_planted_error():
    problem = constant_problem()
    report = audit(UnlearningGame(problem, Planted()))
    error = planted(report.coalitions, BY_SIZE, PER_PLAYER)
    assert error[-1] == pytest.approx(0), "the full coalition is the given model"
    sizes = report.coalitions.sum(axis=1)
    assert report.complete
    frame = report.to_frame().set_index("kept")
    assert (frame["noise_error"] == 0).all()
    for size, kept in enumerate(["none", *"12345", "all"]):
        assert frame.loc[kept, "bias"] == pytest.approx(error[sizes == size].mean(), abs=1e-12)
        assert frame.loc[kept, "error"] == pytest.approx(np.abs(error[sizes == size]).mean(), abs=1e-12)
        assert frame.loc[kept, "coalitions"] == math.comb(6, size)
    assert frame.loc["all sizes", "error"] == pytest.approx(np.abs(error).mean())
    given_utility = float(problem.given_utility)
    assert frame.loc["none", "nothing_error"] == pytest.approx(abs(given_utility - report.retrained[0, 0]))
    assert math.isnan(frame.loc["none", "spearman"])
    limits = report.bounds()
    assert limits.values == pytest.approx(2 * np.abs(error).max())
    individual = planted(report.coalitions, np.zeros(7), PER_PLAYER)
    spread = sum(math.comb(6, s) * np.var(individual[sizes == s]) for s in range(7))
    assert limits.size_share == pytest.approx(1 - spread / np.square(error).sum())
    table = report.values()
    np.testing.assert_allclose(table["unlearned"] - table["retrained"], np.array(PER_PLAYER) - 0.5 / 6, atol=1e-12)
    assert (table["spread"] == 0).all()
    assert report.value_agreement().error == pytest.approx(0.3 + 0.5 / 6)
    assert report.value_agreement().noise_pearson == pytest.approx(1)


def test_an_audit_recovers_the_noise_of_retraining():
    problem = constant_problem(noisy=True)
    report = audit(UnlearningGame(problem, Planted((0.0,) * 7, (0.0,) * 6, like=2)), seeds=3)
    assert report.retrain_seeds == (1, 2, 3)
    each = np.stack([UnlearningGame(problem, "retrain", seed=seed)(report.coalitions) for seed in (1, 2, 3)])
    np.testing.assert_array_equal(report.retrained, each)
    np.testing.assert_array_equal(report.unlearned, each[1])
    pairs = [np.abs(each[k] - each[j]).mean() for k, j in [(0, 1), (0, 2), (1, 2)]]
    assert min(pairs) > 0.01
    figures = report.agreement()
    assert figures.noise_error == pytest.approx(np.mean(pairs))
    assert figures.error == pytest.approx((pairs[0] + pairs[2]) / 3)
    ranks = [spearmanr(each[k], each[j])[0] for k, j in [(0, 1), (0, 2), (1, 2)]]
    assert figures.noise_spearman == pytest.approx(np.mean(ranks))
    values = np.stack([exact_values(report.coalitions, one) for one in each])
    np.testing.assert_allclose(report.values()["spread"], values.std(axis=0, ddof=1))
    assert report.value_agreement().pearson == pytest.approx(pearsonr(values[1], values.mean(axis=0))[0])


def test_retraining_is_as_far_from_retraining_as_the_noise():
    report = audit(UnlearningGame(constant_problem(noisy=True), "retrain", seed=3), seeds=4)
    figures = report.agreement()
    assert 0.5 < figures.error / figures.noise_error < 2
    assert judge(figures, report.bounds()) is not Verdict.USELESS
    assert audit(UnlearningGame(constant_problem(), "retrain")).agreement().error == 0


def test_values_are_those_of_the_games():
    problem = early_stopped(groups=np.arange(40) % 5, hidden=3)
    report = audit(UnlearningGame(problem, "newton"))
    exact = shapley_values(UnlearningGame(problem, "newton"), "exact")
    for column, name in enumerate(report.metrics):
        assert_same_bits(report.values(name)["unlearned"], exact.values[:, column])


def test_utilities_are_those_of_one_coalition_at_a_time():
    problem = early_stopped(hidden=3)
    report = audit(UnlearningGame(problem, "finetune", steps=3, seed=5), coalitions=12)
    game = UnlearningGame(problem, "finetune", steps=3, seed=5)
    one_by_one = np.concatenate([game(row[None]) for row in report.coalitions])
    np.testing.assert_allclose(report.unlearned, one_by_one, atol=1e-12)
    assert report.settings == {**UnlearningGame(problem, "finetune").unlearner.settings, "steps": 3}


def test_a_vector_of_metrics_is_audited_metric_by_metric():
    both = audit(UnlearningGame(constant_problem(metric={"answer": answer, "half": halves}), Planted()))
    single = audit(UnlearningGame(constant_problem(), Planted()))
    assert both.metrics == ("answer", "half")
    for name, factor in (("answer", 1), ("half", 2)):
        ours, theirs = both.agreement(name), single.agreement()
        assert ours.error * factor == pytest.approx(theirs.error)
        assert ours.spearman == pytest.approx(theirs.spearman)
        assert both.bounds(name).values * factor == pytest.approx(single.bounds().values)
        np.testing.assert_allclose(both.values(name)["unlearned"] * factor, single.values()["unlearned"])
    frame = both.to_frame()
    assert list(frame["metric"].unique()) == ["answer", "half"]
    assert len(frame) == 2 * len(single.to_frame())
    assert both.verdict.startswith("answer: planted ")
    assert "; half: planted " in both.verdict


def test_the_same_seed_gives_the_same_report():
    games = [UnlearningGame(early_stopped(hidden=3), "finetune", seed=seed) for seed in (3, 3, 4)]
    first, second, third = (audit(game, coalitions=14) for game in games)
    np.testing.assert_array_equal(first.coalitions, second.coalitions)
    np.testing.assert_array_equal(first.unlearned, second.unlearned)
    np.testing.assert_array_equal(first.retrained, second.retrained)
    assert not np.array_equal(first.coalitions, third.coalitions)
    assert third.retrain_seeds == (5, 6)


def test_progress_counts_all_utilities():
    told = []
    game = UnlearningGame(constant_problem(), "retrain")
    audit(game, coalitions=30, progress=lambda now: told.append((now.done, now.total)))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# The report.


@pytest.fixture(scope="module")
def report():
    return audit(UnlearningGame(early_stopped(hidden=3), "finetune"), coalitions=30, seeds=3)


def equal(a, b):
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, err_msg=field.name)
            assert x.dtype == y.dtype
        else:
            assert x == y, field.name


def test_json_gives_the_same_report_back(report):
    complete = audit(UnlearningGame(constant_problem(), Planted()))
    for one in (report, complete):
        text = one.to_json()
        back = FidelityReport.from_json(text)
        equal(dataclasses.replace(one, settings={}), dataclasses.replace(back, settings={}))
        assert back.verdict == one.verdict
        assert back.to_json() == text
    data = json.loads(report.to_json(), parse_constant=lambda word: pytest.fail(word))
    assert data["format"] == "unshap-audit/1"
    assert data["figures"]["accuracy"]["sizes"]["none"]["spearman"] is None
    assert data["figures"]["accuracy"]["all"]["count"] == len(report.coalitions)
    assert data["figures"]["accuracy"]["values"] is None
    assert data["retrainings"] == 3 * len(report.coalitions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a result in the format 'unshap-audit/1'"),
        ('{"format": "unshap-result/1"}', "is not a result in the format 'unshap-audit/1'"),
        ('{"format": "unshap-audit/1", "unlearned": []}', "lacks or does not know the fields"),
    ],
)
def test_other_json_is_refused(text, message):
    with pytest.raises(InvalidValueError, match=message):
        FidelityReport.from_json(text)


def test_the_table_has_a_row_per_range_of_sizes_and_one_for_all(report):
    frame = report.to_frame()
    assert list(frame.columns) == ["kept", "metric", "coalitions", *NAMES[1:]]
    assert list(frame["kept"][:7]) == ["none", "1-10", "11-20", "21-30", "31-39", "all", "all sizes"]
    part = frame[frame["metric"] == "ll"].set_index("kept")
    assert part.loc["all sizes", "coalitions"] == len(report.coalitions) == part["coalitions"][:-1].sum()
    weights = part["coalitions"][:-1] / len(report.coalitions)
    for name in ("error", "noise_error", "nothing_error", "bias"):
        assert part.loc["all sizes", name] == pytest.approx((weights * part[name][:-1]).sum())
        assert part.loc["all", name] == 0
    assert report.agreement("ll").spearman == part.loc["all sizes", "spearman"]


def test_costs_and_provenance_are_recorded(report):
    assert report.evaluations == len(report.coalitions) - 1, "that of everybody is that of the given model"
    assert report.cost_ratio == pytest.approx(report.seconds_retrained / 3 / report.seconds_unlearned)
    assert 0 < report.seconds_unlearned + report.seconds_retrained <= report.seconds
    assert {"unshap-plugin", "torch", "numpy", "python"} <= set(report.versions)
    assert report.unlearner == "finetune"
    assert report.settings == UnlearningGame(early_stopped(hidden=3), "finetune").unlearner.settings
    assert report.access == "full"


def test_the_picture_shows_the_errors_the_floor_and_doing_nothing(report):
    ax = report.plot(metric="ll")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["none", "1-10", "11-20", "21-30", "31-39"]
    assert "absolute error (ll)" in ax.get_ylabel()
    words = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    for part in ("finetune, mean", "between two retrainings", "doing nothing"):
        assert part in words
    heights = [bar.get_height() for bar in ax.patches]
    frame = report.to_frame()
    frame = frame[frame["metric"] == "ll"]
    np.testing.assert_allclose(heights, frame["noise_error"][:5])
    with pytest.raises(InvalidValueError, match="about 2 metrics, but none was named: give one of accuracy, ll"):
        report.plot()
    flawless = audit(UnlearningGame(constant_problem(), "retrain")).plot()
    flawless.figure.canvas.draw()


def test_a_metric_that_is_not_there_is_named(report):
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acuracy' \(did you mean 'accuracy'\?\)"):
        report.agreement("acuracy")


# The verdict.


def figures(error=0.1, noise=0.01, nothing=0.5, rank=0.8, ceiling=0.96):
    return (
        Agreement(90, error, 0.0, noise, nothing, 0.0, 0.9, 0.97),
        Bounds(1.0, 0.5, 0.3, rank, ceiling),
    )


@pytest.mark.parametrize(
    ("given_figures", "verdict", "words"),
    [
        (figures(error=0.011), Verdict.FAITHFUL, "as close to retraining (off by 0.011) as two retrainings"),
        (figures(error=0.009, noise=0.0), Verdict.FAITHFUL, "next to equal to retraining (off by 0.009"),
        (figures(rank=0.93), Verdict.RANKING, "Spearman 0.93, ceiling 0.96) but is off by 0.1 on average"),
        (figures(error=0.9, rank=0.93), Verdict.RANKING, "use the ranking, not the amounts"),
        (figures(), Verdict.ROUGH, "only roughly (Spearman 0.80, ceiling 0.96)"),
        (figures(ceiling=math.nan, rank=math.nan), Verdict.ROUGH, "trust large differences"),
        (figures(rank=0.1, ceiling=0.2), Verdict.ROUGH, "trust large differences"),
        (figures(error=0.46), Verdict.USELESS, "no better (off by 0.46) than leaving the model as it is (0.5)"),
        (figures(rank=0.4), Verdict.USELESS, "sees how much data is removed but hardly which"),
        (figures(rank=math.nan), Verdict.USELESS, "sees how much data is removed but hardly which"),
        (figures(noise=0.46), Verdict.UNDECIDED, "two retrainings differ by as much (0.46) as removing data"),
        (figures(0.0, 0.0, 0.0, math.nan, math.nan), Verdict.UNDECIDED, "nothing can be said about newton"),
    ],
)
def test_verdicts(given_figures, verdict, words):
    assert judge(*given_figures) is verdict
    line = sentence("newton", {"accuracy": given_figures})
    assert words in line
    assert "\n" not in line
    improvable = verdict in (Verdict.RANKING, Verdict.ROUGH)
    assert line.endswith(", or let retrainings='auto' correct them") is improvable
    of_retraining = sentence("retrain", {"accuracy": given_figures})
    assert "correct them" not in of_retraining
    if verdict in (Verdict.FAITHFUL, Verdict.UNDECIDED):
        assert of_retraining == line.replace("newton", "retrain")
    else:
        assert of_retraining.startswith("retrain is retraining itself: it is off by 0.")


def test_many_metrics_are_counted():
    each = {f"row {k}": figures(error=0.011) if k < 5 else figures() for k in range(7)}
    assert sentence("newton", each) == "of 7 metrics newton is as good as retraining for 5, rough for 2"


def test_verdicts_of_unlearners_that_are_known():
    none = (0.0,) * 6
    assert "trusted like retrained ones" in audit(UnlearningGame(constant_problem(), "retrain")).verdict
    shifted = audit(UnlearningGame(constant_problem(), Planted((9.0,) * 6 + (0.0,), none)))
    assert "use the ranking, not the amounts" in shifted.verdict
    idle = audit(UnlearningGame(constant_problem(), Idle()))
    assert idle.agreement().error == idle.agreement().nothing_error
    assert "no better" in idle.verdict


# What is refused.


def test_arguments_are_checked_before_any_work(monkeypatch):
    problem = constant_problem()
    monkeypatch.setattr(UnlearningGame, "__call__", lambda *_: pytest.fail("evaluated"))
    game = UnlearningGame(problem)
    for arguments, kind, words in [
        ({"seeds": 1}, InvalidValueError, "seeds is 1, but a whole number of at least 2"),
        ({"seeds": 2.0}, InvalidTypeError, "seeds is 2.0"),
        ({"coalitions": 0}, InvalidValueError, "coalitions is 0"),
        ({"coalitions": 11}, InvalidValueError, "coalitions=11 is too few.*at least 12"),
    ]:
        with pytest.raises(kind, match=words):
            audit(game, **arguments)
    for arguments, kind, words in [
        ({"seed": -1}, InvalidValueError, "seed is -1"),
        ({"unlearner": "newtn"}, UnknownNameError, "did you mean 'newton'"),
        ({"unlearner": "newton", "stps": 1}, InvalidValueError, "did you mean 'steps'"),
    ]:
        with pytest.raises(kind, match=words):
            UnlearningGame(problem, **arguments)
    with pytest.raises(InvalidTypeError, match="problem is a str, but a ValuationProblem is needed"):
        UnlearningGame("problem")
    for other, kind in (("game", "str"), (problem, "ModuleProblem")):
        with pytest.raises(InvalidTypeError, match=f"game is a {kind}, but an UnlearningGame is needed: make one from"):
            audit(other)


def test_what_cannot_be_retrained_is_refused():
    partial = constant_problem(access="partial")
    with pytest.raises(AccessError, match=r"'retrain' needs access to RETAIN.*an audit compares with retraining"):
        audit(UnlearningGame(partial, "gradient_ascent"))
    with pytest.raises(AccessError, match=r"how the torch model was trained.*an audit compares with retraining"):
        audit(UnlearningGame(early_stopped(fit=None), "newton"))


def test_divergence_is_an_error():
    problem = constant_problem()
    with pytest.raises(DivergenceError, match="unlearner 'planted'"):
        audit(UnlearningGame(problem, Planted((math.inf, *BY_SIZE[1:]), PER_PLAYER)))


def test_models_without_parameters_are_audited_too():
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] + 0.3 * rng.normal(size=60) > 0).astype(int)
    model = KNeighborsClassifier(3).fit(x[:30], y[:30])
    problem = ValuationProblem(
        model, (x[:30], y[:30]), (x[30:], y[30:]), metric="log_likelihood", groups=np.arange(30) % 4
    )
    report = audit(UnlearningGame(problem))
    assert report.unlearner == "retrain"
    assert report.agreement().error == report.agreement().noise_error == 0
