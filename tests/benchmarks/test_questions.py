"""The questions of the benchmarks, with small sizes: what they measure, and what becomes of a peer that fails."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from harness import (
    accuracy,
    bounds,
    estimators,
    games,
    groups,
    noise,
    partial,
    pipeline,
    quality,
    samplers,
    scale,
    speed,
)
from harness.evaluators import row_values
from harness.question import Question
from harness.questions import QUESTIONS
from harness.report import Report
from harness.tasks import flipped
from readme import ROOT

from unshap_plugin.estimators import Exact
from unshap_plugin.unlearners.auto import MEASURED_IN_PARTIAL

# Of peers, which pin memory and divide by zero.
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = {"models": ["LogisticRegression"], "rows": 40, "groups": 3, "truths": 2, "own": True}


def asked(question, settings, tmp_path, seeds=1):
    """The report of a question with other settings, as it comes back from its file."""
    one = Question(**{**vars(question), "quick": settings})
    path = tmp_path / "report.json"
    report = one.run(path, quick=True, seeds=seeds)
    assert Report.load(path) == report
    assert all(len(row) == len(table.header) for table in one.tables(report) for row in table.rows)
    return report


def broken(*_):
    raise ZeroDivisionError("this peer is broken")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_command_says_how_it_was_asked(name, tmp_path):
    question = Question(**{**vars(QUESTIONS[name]), "measure": lambda settings, seeds: iter([{"seed": seeds[0]}])})
    assert question.run(tmp_path / "one.json").command == f"python benchmarks/run.py {name}"
    other = question.run(tmp_path / "two.json", quick=True, seeds=7)
    assert other.command == f"python benchmarks/run.py {name} --quick --seeds 7"
    assert other.seeds == list(range(7))


def test_a_run_that_is_stopped_leaves_its_rows(tmp_path):
    def measure(settings, seeds):
        yield {"method": "first"}
        raise KeyboardInterrupt

    question = Question(**{**vars(speed.SPEED), "measure": measure})
    with pytest.raises(KeyboardInterrupt):
        question.run(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").rows == [{"method": "first"}]


def test_speed(tmp_path):
    report = asked(speed.SPEED, {"rounds": 2, "cases": [["breast_cancer", 40, "LogisticRegression", 8]]}, tmp_path)
    assert [row["method"] for row in report.rows] == ["newton", "replay", "retrain"]
    assert all(row["faster"] == pytest.approx(row["fit"] / row["each"]) for row in report.rows)


def test_a_method_that_fails_has_no_speed(tmp_path, monkeypatch):
    monkeypatch.setitem(speed.METHODS, "LogisticRegression", ("retrain", "nothing_of_that_name"))
    settings = {"rounds": 1, "cases": [["breast_cancer", 40, "LogisticRegression", 4]]}
    good, bad = asked(speed.SPEED, settings, tmp_path).rows
    assert good["faster"] > 0
    assert set(bad) == {"model", "data", "rows", "method", "failure"}
    assert bad["failure"].startswith("UnknownNameError")


@pytest.mark.slow
def test_accuracy(tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "opendataval_tmc", broken)
    report = asked(accuracy.ACCURACY, {**SMALL, "budgets": [], "permutations": [2]}, tmp_path)
    rows = {row["method"]: row for row in report.rows}
    assert rows[accuracy.TMC]["failure"] == "ZeroDivisionError: this peer is broken"
    assert "error" not in rows[accuracy.TMC]
    for method in ("newton", "replay", "retrain", "newton, tuned", accuracy.OWN):
        assert rows[method]["error"] < 1
        assert rows[method]["seconds"] > 0
    try:
        import pydvl.valuation  # noqa: F401
    except ImportError:
        assert rows[accuracy.PYDVL]["failure"] == "not run: pyDVL is not installed"
    [table] = accuracy.tables(report)
    assert [accuracy.TMC, "ZeroDivisionError: this peer is broken", *[""] * 5] in table.rows
    accuracy.ACCURACY.figure(report, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_providers_are_all_there_and_differ_in_wrong_labels():
    grouped = accuracy.providers("LogisticRegression", 60, 5, 0)
    assert set(grouped.groups) == set(range(5))
    shares = [grouped.task.wrong[grouped.groups == group].mean() for group in range(5)]
    assert min(shares) == 0
    assert max(shares) > 0.2


def test_a_deviation_is_that_from_the_mean_of_the_others():
    assert accuracy.deviation([np.array([1.0, 1.0]), np.array([2.0, 2.0])]) == pytest.approx((1 / 2 + 1) / 2)


def test_peers_play_the_same_game():
    grouped = accuracy.providers("LogisticRegression", 40, 3, 0)
    given = grouped.task.likelihood(grouped.task.start)
    assert grouped.task.likelihood(grouped.fit([])) == given
    model = groups.OfGroups(grouped).fit([0, 2], None)
    assert model.predict(grouped.task.x_valid).shape == grouped.task.y_valid.shape
    everything = groups.own_fits(grouped, 0)
    sampled = groups.opendataval_tmc(grouped, 20, 0)
    assert everything.sum() == pytest.approx(sampled.sum(), rel=0.5)
    assert np.corrcoef(everything, sampled)[0, 1] > 0.8


def test_quality(tmp_path, monkeypatch):
    def values(task, seed, sizes):
        return {
            quality.OURS: lambda: 1.0 - task.wrong,
            "upside down": lambda: task.wrong * 1.0,
            "broken": broken,
        }

    monkeypatch.setattr(quality, "row_values", values)
    settings = {"model": "LogisticRegression", "data": [["wine", 60]], "fits": 1}
    rows = asked(quality.QUALITY, settings, tmp_path, seeds=2).rows
    found = {row["method"]: row for row in rows if row["seed"] == 1}
    assert (found[quality.OURS]["auc"], found[quality.OURS]["f1"]) == (1, 1)
    assert found["upside down"]["auc"] == 0
    assert found["broken"] == {
        "data": "wine",
        "rows": 60,
        "seed": 1,
        "method": "broken",
        "failure": "ZeroDivisionError: this peer is broken",
    }
    assert found[quality.OURS]["without_lowest"] > found["upside down"]["without_lowest"]
    assert "auc" not in found["at random"]


def test_noise(tmp_path, monkeypatch):
    def values(task, utility, estimator, budget, seed):
        assert budget == 4 * 60
        if utility == "accuracy" and estimator == noise.PERMUTATION and seed == 1:
            raise ZeroDivisionError("this one is broken")
        return (1.0 - task.wrong) if estimator == noise.AUTO else task.wrong * 1.0

    monkeypatch.setattr(noise, "retrained", values)
    settings = {
        "model": "ClassifierMLP",
        "data": [["wine", 60]],
        "utilities": list(noise.METRICS),
        "evaluations": 4,
    }
    report = asked(noise.NOISE, settings, tmp_path, seeds=2)
    assert [row["auc"] for row in report.rows if row["method"] == noise.AUTO] == [1, 1, 1, 1]
    likelihood, accuracy_ = noise.tables(report)
    assert likelihood.rows[0][:6] == ["wine", "60", "240", "1.000 ± 0.000", "0.000 ± 0.000", "2 of 2"]
    assert accuracy_.rows[0][4:6] == ["failed for 1 seeds: ZeroDivisionError: this one is broken", "1 of 1"]


@pytest.mark.parametrize("utility", noise.METRICS)
def test_values_of_noise_are_of_the_utility_that_is_asked_for(utility):
    task = flipped("wine", "ClassifierMLP", 8, 0)
    values = noise.retrained(task, utility, "exact", 256, 0)
    labels = task.y_valid.argmax(dim=1)
    trained, untrained = task.fit(seed=0), task.start
    if utility == "accuracy":
        ends = [
            float((one.predict(task.x_valid).argmax(dim=1) == labels).float().mean()) for one in (trained, untrained)
        ]
    else:
        ends = [task.likelihood(one) for one in (trained, untrained)]
    assert values.sum() == pytest.approx(ends[0] - ends[1], abs=1e-5)


def test_pipeline(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "of_permutations", broken)
    settings = {"models": ["LogisticRegression"], "data": [["wine", 20]], "evaluations": 8, "permutations": 1}
    report = asked(pipeline.PIPELINE, settings, tmp_path)
    default, fewer, theirs = report.rows
    assert (default["method"], fewer["method"]) == (pipeline.OURS, f"{pipeline.OURS}(budget=8 for each row)")
    assert min(default["auc"], fewer["auc"]) >= 0
    assert theirs["failure"] == "ZeroDivisionError: this peer is broken"
    [table] = pipeline.tables(report)
    assert table.rows[2][3:] == ["failed for 1 seeds: ZeroDivisionError: this peer is broken", "", ""]
    for row in report.rows[:2]:
        row["seconds"] = 2.0
    report.rows[2] = {**report.rows[0], "method": "DataShapley(1 permutations)", "seconds": 50.0}
    assert [row[-2:] for row in pipeline.tables(report)[0].rows] == [
        ["2.00", "25.0"],
        ["2.00", "25.0"],
        ["50.00", "1.0"],
    ]


@pytest.mark.slow
def test_values_of_all_evaluators():
    task = flipped("wine", "LogisticRegression", 30, 0)
    assert task.wrong.sum() == 6
    runs = row_values(task, 0, {"models": 8, "permutations": 1, "budget": 150})
    for run in runs.values():
        assert run().shape == (30,)


def test_scale_runs_what_it_says():
    for name in (scale.OWN, *scale.METHODS):
        assert scale.prepare(name, 40, 5, 6, 0)() == 6


def test_scale(tmp_path, monkeypatch):
    def apart(prepare, name, *sizes):
        if name == "retrain":
            raise MemoryError("no memory")
        return {"result": sizes[2], "seconds": 2.0, "wall": 3.0, "bytes": None if name == "newton" else 2**20}

    monkeypatch.setattr(scale, "apart", apart)
    report = asked(scale.SCALE, {"rounds": 3, "sizes": {"rows": [[40, 5, 10]]}}, tmp_path)
    assert {row["method"]: set(row) & {"seconds", "bytes", "failure"} for row in report.rows} == {
        scale.OWN: {"seconds", "bytes"},
        "newton": {"seconds"},
        "retrain": {"failure"},
    }


SMALL_GAMES = {
    "providers": {
        estimators.CHOSEN_ON: [],
        estimators.HELD_OUT: [["iris", 60, 5, 0, "logistic regression", "newton", ["log_likelihood", "accuracy"]]],
    },
    "neighbours": {estimators.CHOSEN_ON: [], estimators.HELD_OUT: []},
    "saturating": {estimators.CHOSEN_ON: [[60, 0]], estimators.HELD_OUT: []},
    "budgets": [2, 4, 5],
    "most for many": 5,
    "coverage": [4, 5],
    "runs": 1,
    "most players": 50,
    "runs for most": 1,
}


def test_estimators(tmp_path, monkeypatch):
    monkeypatch.setitem(samplers.SAMPLERS, "broken", broken)
    report = asked(estimators.ESTIMATORS, SMALL_GAMES, tmp_path, seeds=2)
    rows = {(row["game"], row["budget"], row["method"]): row for row in report.rows}
    few, many = "iris, logistic regression, unlearned, accuracy", "60 players of diminishing weight"
    assert "too small" in rows[few, 2, samplers.PERMUTATION]["failure"]
    assert rows[few, 4, samplers.AUTO]["runs"] == 2
    assert rows[many, 4, samplers.AUTO]["runs"] == 1
    assert 0 <= rows[few, 4, samplers.AUTO]["coverage"] <= 1
    assert rows[few, 5, "broken"]["failure"] == "ZeroDivisionError: this peer is broken"
    assert estimators.ratios(report, estimators.CHOSEN_ON, True)[samplers.PERMUTATION] == {4: 1.0, 5: 1.0}
    estimators.ESTIMATORS.figure(report, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("neighbours", [1, 3, 9])
def test_values_in_closed_form_are_those_of_all_coalitions(neighbours):
    for game in (games.of_neighbours("wine", 6, 10, neighbours, 0), games.saturating(6, 1)):
        exact = Exact(6, None, 0).run(game.utilities).values
        np.testing.assert_allclose(game.values, exact, rtol=0, atol=1e-12)


def test_partial(tmp_path):
    settings = {**partial.PARTIAL.quick, "shares": [0.3, 1.0], "references": ["30", "shifted"]}
    report = asked(partial.PARTIAL, settings, tmp_path)
    rows = {(row["share"], row["reference"], row["method"]): row["pearson"] for row in report.rows}
    methods = settings["methods"]
    assert set(rows) == {
        *((share, "", method) for share in settings["shares"] for method in (partial.RETRAIN, partial.FULL)),
        *((0.3, reference, method) for reference in settings["references"] for method in methods),
        *((1.0, "30", method) for method in methods),
    }
    assert rows[1.0, "30", "pseudo_background"] > 0.8
    assert all(sum(row.get("auto", False) for row in report.rows if row["share"] == share) for share in (0.3, 1.0))
    given = partial.split(partial.KINDS["wine, network"], 0.3, 0)
    assert (given.owner != partial.REST).sum() == 27
    kept = given.full(["log_likelihood"]).retained(np.zeros((1, 6), dtype=bool))[0].numpy()
    assert (kept == (given.owner == partial.REST)).all()


def test_auto_says_of_partial_access_what_the_stored_report_says():
    report = Report.load(ROOT / "benchmarks" / "results" / "partial.json")
    for share, said in MEASURED_IN_PARTIAL.items():
        means, least = [], []
        for kind in report.settings["kinds"]:
            asked = {"kind": kind, "share": share, "metric": "log_likelihood", "reference": "400", "auto": True}
            found = [row for row in report.rows if asked.items() <= row.items()]
            if partial.KINDS[kind].has(share):
                assert {row["method"] for row in found} == {"pseudo_background"}
                means.append(np.mean([row["pearson"] for row in found]))
                least.append(min(row["pearson"] for row in found))
        assert said == (round(min(means), 2), round(max(means), 2), round(min(least), 2))
    worst = [said[2] for _, said in sorted(MEASURED_IN_PARTIAL.items())]
    assert worst == sorted(worst), "of less nothing better is said"


@pytest.mark.parametrize("module", [accuracy, games, groups, partial], ids=lambda module: module.__name__)
def test_examples(module):
    failed, attempted = doctest.testmod(module)
    assert failed == 0 < attempted


def test_bounds(tmp_path):
    report = asked(bounds.BOUNDS, {"rounds": 2, "cases": [["breast_cancer", 40, "LogisticRegression", 8]]}, tmp_path)
    assert [row["method"] for row in report.rows] == list(speed.METHODS["LogisticRegression"])
    for row in report.rows:
        assert row["coalitions"] == 7
        assert min(row[name] for name in ("seconds", "calls", "flop", "bytes", "product", "memory", "call")) > 0
    [table] = bounds.tables(report)
    assert [len(row) for row in table.rows] == [len(table.header)] * 3


def test_what_is_counted():
    a, b = torch.rand(4, 3), torch.rand(3, 5)
    with bounds.Count() as count:
        product = a @ b
        assert (count.calls, count.bytes) == (1, 0)
        product.T.reshape(20).add_(1)
    # A copy of 20 numbers, in and out (the transposed one is a view), and a sum in place of as many.
    assert count.bytes == 4 * (20 + 20 + 20 + 20)
