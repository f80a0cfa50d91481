"""*estimators*: error against budget, and how often intervals cover, on games whose values are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import gmean

from harness.figures import draw_budgets
from harness.games import Known, of_neighbours, of_providers, saturating
from harness.question import Question
from harness.report import Report, Row, Table
from harness.samplers import AUTO, PERMUTATION, SAMPLERS, Sampler
from harness.timing import NotRun

__all__ = ["ESTIMATORS"]

CHOSEN_ON, HELD_OUT = "chosen on", "held out"
MANY = 60


def games(settings: dict[str, Any]) -> Iterator[tuple[str, Known]]:
    """Yield every game, and whether a setting was chosen on it."""
    for use in (CHOSEN_ON, HELD_OUT):
        for case in settings["providers"][use]:
            yield from ((use, game) for game in of_providers(*case))
        yield from ((use, of_neighbours(*case)) for case in settings["neighbours"][use])
        yield from ((use, saturating(*case)) for case in settings["saturating"][use])


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each game, estimator and budget: the mean of what the seeds gave."""
    for use, game in games(settings):
        for times in settings["budgets"]:
            budget = times * game.n_players
            if budget >= 1 << game.n_players or (game.n_players > MANY and times > settings["most for many"]):
                continue
            found = {"use": use, "game": game.name, "players": game.n_players, "budget": times}
            for name, sampler in SAMPLERS.items():
                counted = seeds[: _runs(settings, len(seeds), use, name, game.n_players, times)]
                yield {**found, "method": name, **judged(sampler, game, budget, counted)}


def _runs(settings: dict[str, Any], seeds: int, use: str, name: str, players: int, times: int) -> int:
    """Return how many seeds count: all where intervals are judged, fewer elsewhere and where runs take long."""
    if players > settings["most players"]:
        return min(seeds, settings["runs for most"])
    judged = use == HELD_OUT and name in (AUTO, PERMUTATION) and players < MANY and times in settings["coverage"]
    return seeds if judged else min(seeds, settings["runs"])


def judged(sampler: Sampler, game: Known, budget: int, seeds: Sequence[int]) -> Row:
    """Return the mean squared error, relative to the values, and the share of intervals that cover."""
    errors, covered = [], []
    for seed in seeds:
        try:
            values, within = sampler(game, budget, seed)
        except NotRun as reason:
            return {"failure": f"not run: {reason}"}
        except Exception as error:
            return {"failure": f"{type(error).__name__}: {error}"}
        errors.append(((values - game.values) ** 2).sum() / (game.values**2).sum())
        covered += [] if within is None else [within.mean()]
    found = {"error": float(np.mean(errors)), "runs": len(errors)}
    return {**found, "coverage": float(np.mean(covered))} if covered else found


def ratios(report: Report, use: str, many: bool) -> dict[str, dict[int, float]]:
    """Return by method and budget the error over that of permutations, in the geometric mean over games."""
    rows = [row for row in report.rows if row["use"] == use and (row["players"] >= MANY) == many]
    by = {(row["game"], row["budget"], row["method"]): row["error"] for row in rows if "error" in row}
    found: dict[str, dict[int, float]] = {}
    for method in SAMPLERS:
        for times in report.settings["budgets"]:
            both = [
                by[game, times, method] / by[game, times, PERMUTATION]
                for game in {row["game"] for row in rows}
                if {(game, times, method), (game, times, PERMUTATION)} <= by.keys()
            ]
            if both:
                found.setdefault(method, {})[times] = float(gmean(both))
    return found


def tables(report: Report) -> list[Table]:
    """Return errors relative to permutations, coverage, and the errors of each game."""
    budgets = report.settings["budgets"]
    made = []
    for use in (CHOSEN_ON, HELD_OUT):
        for many in (False, True):
            found = ratios(report, use, many)
            count = len({row["game"] for row in report.rows if row["use"] == use and (row["players"] >= MANY) == many})
            lines = [[name, *(_short(by.get(times)) for times in budgets)] for name, by in found.items()]
            size = f"{MANY} and more players" if many else "few players"
            caption = f"{count} games of {size}, settings {use}: error over that of permutations, geometric mean."
            made.append(
                Table(caption.replace(CHOSEN_ON, "chosen on them"), ["estimator", *map(_times, budgets)], lines)
            )
    lines = []
    for use in (CHOSEN_ON, HELD_OUT):
        for name in (PERMUTATION, AUTO):
            lines.append([f"{name}, {use}", *(_coverage(report, use, name, times) for times in budgets)])
    made.append(
        Table(
            "Share of 95% intervals that cover, over games (least and greatest of one game).",
            ["estimator", *map(_times, budgets)],
            lines,
        )
    )
    lines = []
    for row in report.rows:
        if row["method"] == AUTO and row["budget"] == budgets[0]:
            same = {
                (one["method"], one["budget"]): one["error"]
                for one in report.rows
                if one["game"] == row["game"] and "error" in one
            }
            cells = [f"{_short(same.get((PERMUTATION, t)))} / {_short(same.get((AUTO, t)))}" for t in budgets]
            lines.append([f"{row['game']} ({row['players']}; {row['use']})", *cells])
    made.append(
        Table("Mean squared error relative to the values, permutation / auto.", ["game", *map(_times, budgets)], lines)
    )
    return made


def _coverage(report: Report, use: str, name: str, times: int) -> str:
    found = [
        row["coverage"]
        for row in report.rows
        if (row["use"], row["method"], row["budget"]) == (use, name, times) and "coverage" in row
    ]
    return f"{np.mean(found):.3f} ({min(found):.2f} to {max(found):.2f})" if found else ""


def _times(times: int) -> str:
    return f"{times}n"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def draw(report: Report, path: Path) -> None:
    """Draw the ratios of few and of many players that no setting was chosen on."""
    draw_budgets(
        {"8 to 14 players": ratios(report, HELD_OUT, False), "60 and more": ratios(report, HELD_OUT, True)}, path
    )


ESTIMATORS = Question(
    "estimators",
    "Error against budget",
    "Estimators on the same games with the same number of evaluations, 2 to 50 for each player. Games of few players: "
    "providers of unequal size, three with scrambled labels, all coalitions of which are retrained or unlearned "
    "(`newton`). Games of many: rows of a nearest neighbours classifier, whose values have a closed form (Jia et al. "
    "2019), and weights whose sum saturates. Error: mean over runs of the squared error over that of zero; a run "
    "is a seed. Of `auto` and permutations there are 500 runs at 5, 10 and 20 evaluations for each player in the games "
    "of few players that are held out, 20 elsewhere, and 3 of more than 150 players. *Chosen on* are games on which "
    "allocation, folds, kernel and size functions of `stratified` were chosen, *held out* those that were looked at "
    "only afterwards. Geometric means are over the games that a method ran on (`gp` up to 200 players, those of shapiq "
    "and pyDVL up to 60). Permutations are antithetic and need four "
    'evaluations for each player; `auto` is what `estimator="auto"` takes.',
    measure,
    tables,
    full={
        "providers": {
            CHOSEN_ON: [
                ["breast_cancer", 300, 12, 0, "logistic regression", "retrain", ["log_likelihood", "accuracy"]],
                ["digits", 400, 10, 1, "logistic regression", "newton", ["log_likelihood", "accuracy"]],
                ["wine", 90, 10, 2, "logistic regression", "retrain", ["log_likelihood", "accuracy"]],
                ["digits", 300, 10, 3, "tree", "retrain", ["accuracy"]],
            ],
            HELD_OUT: [
                ["wine", 100, 11, 4, "support vectors", "retrain", ["accuracy"]],
                ["diabetes", 250, 11, 5, "ridge", "retrain", ["neg_mean_squared_error"]],
                ["breast_cancer", 200, 14, 6, "logistic regression", "newton", ["log_likelihood", "accuracy"]],
                ["iris", 75, 9, 7, "logistic regression", "retrain", ["log_likelihood", "accuracy"]],
                ["digits", 250, 8, 8, "logistic regression", "retrain", ["log_likelihood", "accuracy"]],
            ],
        },
        "neighbours": {
            CHOSEN_ON: [["wine", 100, 60, 5, 0], ["digits", 1000, 60, 5, 0]],
            HELD_OUT: [["breast_cancer", 200, 60, 5, 1]],
        },
        "saturating": {CHOSEN_ON: [], HELD_OUT: [[60, 0]]},
        "budgets": [2, 4, 5, 10, 20, 50],
        "most for many": 20,
        "coverage": [5, 10, 20],
        "runs": 20,
        "most players": 150,
        "runs for most": 3,
    },
    quick={
        "providers": {
            CHOSEN_ON: [],
            HELD_OUT: [["iris", 60, 6, 0, "logistic regression", "newton", ["log_likelihood", "accuracy"]]],
        },
        "neighbours": {CHOSEN_ON: [], HELD_OUT: []},
        "saturating": {CHOSEN_ON: [], HELD_OUT: [[60, 0]]},
        "budgets": [4, 10],
        "most for many": 10,
        "coverage": [10],
        "runs": 5,
        "most players": 50,
        "runs for most": 2,
    },
    seeds=(500, 10),
    figure=draw,
)
