"""*partial*: values where a part of the training rows is at hand, against retraining that keeps all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression
from torch import nn

from harness.choice import ALL, values
from harness.classes import LOADERS, SHARES, TESTS, WRONG, Rows, network
from harness.question import Question
from harness.report import Report, Row, Table, seeds_of
from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import UnshapError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Access
from unshap_plugin.plugins.registry import resolve_unlearner

__all__ = ["PARTIAL", "summary"]

#: What is held against retraining with another seed.
RETRAIN = "another seed"
#: What ``auto`` takes where all rows are at hand and it is told how the model was trained.
FULL = "all at hand"
PROVIDERS = list(range(len(SHARES)))
REST = -1
#: How far the features of a shifted reference set are moved, in standard deviations, each up or down.
SHIFT = 0.5
#: Of so many rows, each of six providers has some.
FEWEST = 15


@dataclass(frozen=True)
class Kind:
    """A data set and a model: a network that ``make`` makes, or logistic regression where it is ``None``.

    ``shares`` and ``references`` are those of the question that it is measured with, ``None`` for all of them.
    """

    data: str
    rows: int
    make: Callable[[], nn.Module] | None = None
    l2: float = 0.0
    shares: tuple[float, ...] | None = None
    references: tuple[str, ...] | None = None

    def has(self, share: float) -> bool:
        """Tell whether it is measured with a share at hand: so many rows that each of six providers has some."""
        return share * self.rows >= FEWEST and (self.shares is None or share in self.shares)


def convolutions() -> nn.Module:
    """Return two convolutions for images of 8 by 8 pixels."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


KINDS = {
    "digits, network": Kind("digits", 600, network(64, 24, 10), 0.6),
    "digits, logistic regression": Kind("digits", 300),
    "wine, network": Kind("wine", 90, network(13, 16, 3), 0.1),
    "breast_cancer, network": Kind("breast_cancer", 200, network(30, 32, 2), 0.2),
    "digits, convolutions": Kind("digits", 300, convolutions, 0.3, (0.25, 0.5, 1.0), ("400", "100")),
}


@dataclass(frozen=True)
class Split:
    """A trained model, and who has which of its rows.

    Attributes
    ----------
    model, train, test
        The model and its data.
    owner
        The provider of each training row at hand, and ``REST`` for the others, ``[rows]``.
    spare
        Features of rows that are none of these.
    recipe
        How a network was trained, which only retraining is told.
    """

    model: Any
    train: Rows
    test: Rows
    owner: NDArray[np.int64]
    spare: NDArray[Any]
    recipe: Recipe | None

    def full(self, metrics: Sequence[str]) -> ValuationProblem:
        """Return the problem of the same players where all rows are at hand."""
        return ValuationProblem(
            self.model,
            self.train,
            self.test,
            groups=self.owner,
            valued=PROVIDERS,
            metric={name: name for name in metrics},
            fit=self.recipe,
        )

    def partial(self, metrics: Sequence[str], reference: NDArray[Any]) -> ValuationProblem:
        """Return the problem where the rows of the providers and a reference set are all that is at hand."""
        mine = self.owner != REST
        return ValuationProblem(
            self.model,
            (self.train[0][mine], self.train[1][mine]),
            self.test,
            groups=self.owner[mine],
            metric={name: name for name in metrics},
            reference=reference,
            access="partial",
            trained_rows=len(self.owner),
        )

    def reference(self, name: str) -> NDArray[Any]:
        """Return a reference set: so many rows, or those of the largest, ``"shifted"``."""
        if name != "shifted":
            return self.spare[: int(name)]
        signs = np.random.default_rng(0).choice([-1, 1], self.spare.shape[1])
        return (self.spare[:400] + SHIFT * signs).astype(np.float32)


def split(kind: Kind, share: float, seed: int) -> Split:
    """Return a model trained on rows of which six providers have a ``share``, with wrong labels among theirs."""
    x, y = LOADERS[kind.data](return_X_y=True)
    rng, rows = np.random.default_rng(seed), kind.rows
    order = rng.permutation(len(y))
    x, y = x[order], y[order]
    spread = x[:rows].std(axis=0)
    x = ((x - x[:rows].mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    mine = round(share * rows)
    ends = np.round(np.cumsum(rng.permutation(SHARES)) * mine).astype(int)
    owner = np.full(rows, REST)
    owner[:mine] = np.searchsorted(ends, np.arange(mine), side="right")
    chance = np.append(rng.permutation(WRONG), 0.0)[owner]
    wrong = np.flatnonzero(rng.random(rows) < chance)
    classes, labels = int(y.max()) + 1, y[:rows].copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    train, end = (x[:rows], labels), rows + min(TESTS, (len(y) - rows) // 2)
    model, recipe = trained(kind, train, seed)
    return Split(model, train, (x[rows:end], y[rows:end]), owner, x[end:], recipe)


def trained(kind: Kind, train: Rows, seed: int) -> tuple[Any, Recipe | None]:
    """Return the model of a kind, and how it was trained where it does not say so itself."""
    if kind.make is None:
        return LogisticRegression(tol=1e-6, max_iter=1000).fit(*train), None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = kind.make()
    recipe = Recipe("adam", lr=0.01, epochs=30, batch_size=32, l2=kind.l2, init=start)
    return recipe.train(start, cross_entropy, *map(torch.as_tensor, train), seed=seed), recipe


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each seed, kind, share at hand, utility, reference set and method."""
    for seed in seeds:
        for name in settings["kinds"]:
            for share in settings["shares"]:
                kind = KINDS[name]
                if kind.has(share):
                    wanted = [one for one in settings["references"] if one in (kind.references or [one])]
                    found = {"seed": seed, "kind": name, "share": share}
                    yield from of_split(split(kind, share, seed), found, {**settings, "references": wanted})


def of_split(given: Split, found: Row, settings: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows of one trained model."""
    metrics = settings["metrics"]
    truths = [by_metric(given.full(metrics), "retrain", seed) for seed in (1, 2)]
    everything = by_metric(given.full(metrics), "auto", seed=0)
    for metric in metrics:
        known = {**found, "metric": metric, "reference": ""}
        yield {**known, "method": RETRAIN, **agreement(truths[0][metric], [truths[1][metric]])}
        yield {**known, "method": FULL, **agreement(everything[metric], [truth[metric] for truth in truths])}
    for name in settings["references"] if found["share"] < 1 else settings["references"][:1]:
        problem = given.partial(metrics, given.reference(name))
        auto = UnlearningGame(problem).unlearner.name
        for method in settings["methods"]:
            if name != settings["references"][0] and Access.REFERENCE not in resolve_unlearner(method).needs:
                continue  # it is the same with every reference set
            row = {**found, "reference": name, "method": method, "auto": method == auto}
            try:
                ours = by_metric(problem, method, seed=0)
            except UnshapError as error:
                failure = f"{type(error).__name__}: {error}"[:120]
                yield from ({**row, "metric": metric, "failure": failure} for metric in metrics)
            else:
                for metric in metrics:
                    truth = [one[metric] for one in truths]
                    yield {**row, "metric": metric, **agreement(ours[metric], truth)}


def by_metric(problem: ValuationProblem, method: str, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return the exact Shapley values of the six providers for each metric, ``[6]``."""
    utilities = UnlearningGame(problem, method, seed=seed)(ALL)
    return {name: values(column) for name, column in zip(problem.metric.parts, utilities.T, strict=True)}


def agreement(ours: NDArray[np.float64], truths: Sequence[NDArray[np.float64]]) -> Row:
    """Return the correlation (Pearson) with values of retraining, the mean over these; of values that are equal, 0."""
    if np.ptp(ours) == 0:
        return {"pearson": 0.0}
    return {"pearson": float(np.mean([pearsonr(ours, truth)[0] if np.ptp(truth) else 0.0 for truth in truths]))}


def summary(rows: Sequence[Row]) -> str:
    """Return the mean of correlations and the least of them.

    Examples
    --------
    >>> summary([{"pearson": 0.5}, {"pearson": 0.75}]), summary([{"failure": "TypeError: no"}]), summary([])
    ('0.625 (0.500)', 'failed for 1', '')
    """
    failed = sum("failure" in row for row in rows)
    if failed:
        return f"failed for {failed}"
    found = [row["pearson"] for row in rows]
    return f"{np.mean(found):.3f} ({min(found):.3f})" if found else ""


def tables(report: Report) -> list[Table]:
    """Return a table for each kind of model and utility: a line for each share and reference set."""
    methods = [RETRAIN, FULL, *report.settings["methods"]]
    header = ["share", "reference", RETRAIN, FULL, *(f"`{name}`" for name in report.settings["methods"])]
    made = []
    for kind in report.settings["kinds"]:
        for metric in report.settings["metrics"]:
            rows = [row for row in report.rows if (row["kind"], row["metric"]) == (kind, metric)]
            lines = [
                _line(rows, share, reference, methods)
                for share in report.settings["shares"]
                for reference in report.settings["references"]
                if any((row["share"], row["reference"]) == (share, reference) for row in rows)
            ]
            if lines:
                utility = metric.replace("_", "-")
                caption = f"{kind[0].upper()}{kind[1:]}, {utility}, {seeds_of(rows)}: mean (least)."
                made.append(Table(caption, header, lines))
    return made


def _line(rows: Sequence[Row], share: float, reference: str, methods: Sequence[str]) -> list[str]:
    cells = []
    for method in methods:
        which = "" if method in (RETRAIN, FULL) else reference
        of = [row for row in rows if (row["share"], row["reference"], row["method"]) == (share, which, method)]
        cells.append(summary(of) + " *" * any(row.get("auto", False) for row in of))
    return [f"{share:.0%}", reference, *cells]


_METHODS = ["pseudo_background", "reference_teacher", "anchored", "npo", "simnpo"]

PARTIAL = Question(
    "partial",
    "Partial access",
    "Six providers hold a share of the training rows, with unequal shares of wrong labels; the others are the "
    "background, which is always kept and never seen, and has right labels. At hand are the model, the rows of the "
    "providers, the number of all rows and a reference set without labels, of 400 rows (fewer where there are fewer: "
    "44 of wine, 185 of breast_cancer), 100 or 20, or with all features shifted by half a standard deviation; not how "
    "the model was trained. Correlation (Pearson) of exact Shapley values of the six with those of retraining on the "
    "providers of each coalition and the background, the mean over two seeds of the retraining, which agree as the "
    "first column says; the second is what `auto` takes where all rows are at hand, and how the model was trained. "
    "Networks: one hidden layer, or two convolutions, 30 epochs of Adam in batches of 32. A star: what `auto` takes of "
    "the others. A tenth of the rows of wine is too few for six providers; convolutions, which take longest, are "
    "measured with three shares and two reference sets. Settings were chosen on seeds 0 to 4, none on convolutions.",
    measure,
    tables,
    full={
        "kinds": list(KINDS),
        "shares": [0.1, 0.25, 0.5, 0.75, 1.0],
        "references": ["400", "100", "20", "shifted"],
        "metrics": ["log_likelihood", "accuracy"],
        "methods": _METHODS,
    },
    quick={
        "kinds": ["wine, network"],
        "shares": [0.5, 1.0],
        "references": ["400", "20"],
        "metrics": ["log_likelihood"],
        "methods": _METHODS[:2],
    },
    seeds=(10, 1),
)
