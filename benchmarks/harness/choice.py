"""*auto*: what it takes for each class of models, beside every other unlearner: how near retraining, at what cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from harness.classes import AT_HAND, CLASSES, Given
from harness.games import of_table
from harness.question import Question
from harness.report import Report, Row, Table, number
from unshap_plugin import UnlearningGame
from unshap_plugin.errors import AccessError, UnshapError
from unshap_plugin.estimators import Exact
from unshap_plugin.plugins.registry import registered_unlearners

__all__ = ["CHOICE", "better", "cases", "enough", "share"]

RETRAIN = "retrain"
#: How much of the agreement of two retrainings a method has to have.
ENOUGH = 0.9
#: Coalitions over which what is done once is spread.
SPREAD = 1000
#: A method is given up when one coalition, or so few, take it longer than retraining takes for all of them.
FIRST = 8
FIGURES = ("rows", "utilities", "pearson", "values")
ALL = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(bool)
Truth = tuple[NDArray[np.float64], NDArray[np.float64]]


class TooDear(Exception):  # noqa: N818 - not an error: it says why there are no figures
    """A method costs more than retraining."""


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each class of models, what is at hand and method: means over seeds."""
    for name in settings["classes"]:
        found: dict[tuple[str, str], list[Row]] = {}
        taken: dict[str, set[str]] = {}
        for seed in seeds:
            chosen, figures = of_seed(name, settings["first seed"] + seed, found)
            for at_hand, method in chosen.items():
                taken.setdefault(at_hand, set()).add(method)
            for key, row in figures.items():
                found.setdefault(key, []).append(row)
        for (at_hand, method), rows in found.items():
            yield {
                "class": name,
                "at hand": at_hand,
                "method": method,
                "auto": taken[at_hand] == {method},
                **averaged(rows),
            }


def of_seed(
    name: str, seed: int, before: dict[tuple[str, str], list[Row]]
) -> tuple[dict[str, str], dict[tuple[str, str], Row]]:
    """Return what ``auto`` takes, by what is at hand, and the figures of each method.

    What failed or was too dear ``before``, with another seed, is not run again.
    """
    kind = CLASSES[name]
    given = kind.given(seed)
    rng = np.random.default_rng(seed)
    n = len(given.provider)
    keep = rng.random((kind.coalitions, n)) < rng.random((kind.coalitions, 1))
    first, once, each = utilities(given, "all", RETRAIN, keep, seed=1)
    second, *_ = utilities(given, "all", RETRAIN, keep, seed=2)
    limit, unit = once + each * len(keep), each + once / SPREAD
    chosen, figures = {}, {}
    for at_hand in kind.at_hand:
        chosen[at_hand] = UnlearningGame(given.problem(at_hand)).unlearner.name
        if at_hand == "all":
            figures[at_hand, RETRAIN] = {**agreement(first, [second]), "once": once / unit, "each": each / unit}
        for method in registered_unlearners():
            known = before.get((at_hand, method), [])
            if method == RETRAIN or any("failure" in row for row in known):
                continue
            try:
                ours, begun, own = utilities(given, at_hand, method, keep, seed=0, limit=limit)
            except AccessError:
                continue
            except (TooDear, UnshapError) as error:
                figures[at_hand, method] = {"failure": f"{type(error).__name__}: {error}"[:120]}
                if isinstance(error, TooDear):
                    figures[at_hand, method] = {"failure": "dearer than retraining"}
            else:
                figures[at_hand, method] = {
                    **agreement(ours, [first, second]),
                    "once": begun / unit,
                    "each": own / unit,
                }
    return chosen, figures


def utilities(
    given: Given, at_hand: str, method: str, keep: NDArray[np.bool_], seed: int, limit: float = np.inf
) -> tuple[Truth, float, float]:
    """Return utilities of rows and of all providers, the seconds of what is done once, and those of a coalition.

    Raises
    ------
    TooDear
        If one coalition of rows, or a few, take more seconds than ``limit``.
    """
    begin, done, took = time.process_time(), 0, []
    game = UnlearningGame(given.problem(at_hand, rows=True), method, seed=seed)
    for count in (1, 1, FIRST, len(keep)):
        game(keep[done : done + count])
        took.append(time.process_time() - begin)
        begin, done = time.process_time(), done + count
        if len(took) > 1 and took[-1] > limit and done < len(keep):
            raise TooDear
    each, once = took[-1] / (len(keep) - FIRST - 2), max(0.0, took[0] - took[1])
    of_rows = game(keep)
    return (of_rows, UnlearningGame(given.problem(at_hand), method, seed=seed)(ALL)), once, each


def agreement(ours: Truth, truths: Sequence[Truth]) -> Row:
    """Return the agreement with retrainings, means over these."""
    figures = [
        (
            spearmanr(ours[0], rows)[0],
            spearmanr(ours[1], providers)[0],
            pearsonr(ours[1], providers)[0],
            pearsonr(values(ours[1]), values(providers))[0],
        )
        for rows, providers in truths
    ]
    return dict(zip(FIGURES, map(float, np.mean(figures, axis=0)), strict=True))


def values(providers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Shapley values ``[6]`` of the utilities of all coalitions, ``[64]``."""
    return Exact(6, None, 0).run(of_table(providers)).values


def averaged(rows: Sequence[Row]) -> Row:
    """Return the means of figures; where one failed there are none."""
    failures = [row["failure"] for row in rows if "failure" in row]
    if failures:
        return {"failure": failures[0]}
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return {**means, "cost": means["each"] + means["once"] / SPREAD}


def cases(report: Report) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of each class of models and what is at hand."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        found.setdefault((row["class"], row["at hand"]), []).append(row)
    return found


def better(rows: Sequence[Row], taken: Row, ceiling: Row) -> Row | None:
    """Return the method that agrees best with retraining of those that cost no more than the one that is taken.

    There is none where that is the one taken. ``ceiling`` are the figures of retraining.
    """
    cheap = [row for row in rows if "failure" not in row and row["cost"] <= taken["cost"]]
    found = max(cheap, key=lambda row: share(row, ceiling))
    return None if share(found, ceiling) <= share(taken, ceiling) else found


def enough(rows: Sequence[Row], ceiling: Row) -> Row | None:
    """Return the cheapest method that has nine tenths of the agreement of two retrainings, if one has."""
    agreeing = [row for row in rows if "failure" not in row and share(row, ceiling) >= ENOUGH]
    return min(agreeing, key=lambda row: float(row["cost"]), default=None)


def share(row: Row, ceiling: Row) -> float:
    """Return the share of the agreement of two retrainings: of utilities of rows or values of providers, the less."""
    return min(float(row[key] / ceiling[key]) for key in ("rows", "values"))


def tables(report: Report) -> list[Table]:
    """Return a table of what ``auto`` takes, and one of all methods for each class of models."""
    found = cases(report)
    chosen, made = [], []
    for name in report.settings["classes"]:
        ceiling = next(row for row in found[name, "all"] if row["method"] == RETRAIN)
        lines = []
        for at_hand in CLASSES[name].at_hand:
            rows = found[name, at_hand]
            taken = next(row for row in rows if row["auto"])
            where = f"{name}{', ' * bool(AT_HAND[at_hand])}{AT_HAND[at_hand]}"
            others = better(rows, taken, ceiling), enough(rows, ceiling)
            chosen.append([where, *(text for row in (taken, *others) for text in cell(row, ceiling))])
            for row in rows:
                mark = " (auto)" if row["auto"] else ""
                figures = [number(row, key) for key in FIGURES]
                cost = [number(row, "once", ",.1f"), number(row, "cost", ".3f")]
                lines.append([AT_HAND[at_hand], f"`{row['method']}`{mark}", *figures, *cost, row.get("failure", "")])
        header = ["at hand", "method", "rows", "providers", "Pearson", "values", "once", "cost", ""]
        made.append(Table(f"{name[0].upper()}{name[1:]}: {CLASSES[name].text}.", header, lines))
    caption = (
        "What `auto` takes: the share of the agreement of two retrainings that it has, and its cost. Beside it, where "
        "there is one, the method that agrees best of those that cost no more, and the cheapest method that has nine "
        "tenths of the agreement of two retrainings."
    )
    header = ["class of models", "auto", "share", "cost", "better", "share", "cost", "nine tenths", "share", "cost"]
    return [Table(caption, header, chosen), *made]


def cell(row: Row | None, ceiling: Row) -> list[str]:
    """Return name, share and cost of a method, if there is one."""
    return ["", "", ""] if row is None else [f"`{row['method']}`", f"{share(row, ceiling):.2f}", f"{row['cost']:.3f}"]


CHOICE = Question(
    "auto",
    "What auto takes",
    "Every unlearner, with its defaults, against two retrainings of the same coalitions. Rank correlation "
    "(Spearman) of the utilities of coalitions of single rows of all sizes (rows), and of all 64 coalitions of six "
    "providers with unequal shares of wrong labels (providers); for the latter also the correlation (Pearson) of "
    "utilities, and of exact Shapley values (values). `retrain` is held against its other seed, which is the "
    "agreement of two retrainings. Cost: processor time of a coalition of rows, with a thousandth of what is done "
    "once, in units of batched retraining; once: what is done once, in the same units. Share: of the agreement of "
    "two retrainings, in rows or in values, whichever is less. Data of the seeds 10 and 11; the rules of `auto` "
    "were chosen on other data. What it takes is marked as for providers.",
    measure,
    tables,
    full={"classes": list(CLASSES), "first seed": 10},
    quick={"classes": ["ridge regression", "logistic regression, two classes"], "first seed": 0},
    seeds=(2, 1),
)
