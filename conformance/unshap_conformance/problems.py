"""Small real problems on which unlearners are checked: real data, few players, all coalitions."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.kernel_ridge import KernelRidge
from torch import nn

from unshap_plugin import Recipe, ValuationProblem, compute_artifacts
from unshap_plugin.losses import LOSSES
from unshap_plugin.plugin import Access
from unshap_plugin.problem.access import ModelKind
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.unlearners import Retrain

__all__ = ["LARGE_PROBLEMS", "PROBLEMS", "ProblemCase", "all_coalitions", "utilities"]

#: Numbers of training and test rows, of reference rows, and of rows of another test set.
_ROWS, _TESTS, _REFERENCES, _OTHERS = 48, 60, 30, 30
_FEATURES = 5


@dataclass(frozen=True)
class ProblemCase:
    """A problem with 48 rows of real data, made anew whenever it is asked for.

    Parameters
    ----------
    name
        Name that results call it by.
    model
        ``ridge`` and ``logistic`` are linear models at their optimum, ``network`` one hidden layer and few epochs of
        Adam, ``object`` a fitted ``KernelRidge`` of scikit-learn.
    players
        ``providers``: four of unequal size, and all rows are theirs. ``background``: three of them, and the fourth is
        background. ``rows``: four single rows, the others are background. ``every_row``: all 48 of them.
    access
        ``partial``: only the rows of the players are at hand. The model saw the background too.
    reference
        Whether there is a reference set.
    artifacts
        Whether artefacts of all rows stand in for those that are not at hand.
    dtype
        Dtype of the model.
    """

    name: str
    model: Literal["ridge", "logistic", "network", "object"]
    players: Literal["providers", "background", "rows", "every_row"]
    access: Literal["full", "partial"] = "full"
    reference: bool = True
    artifacts: bool = False
    dtype: torch.dtype = torch.float64

    @property
    def available(self) -> Access:
        """Access that an unlearner has to it."""
        seen = Access.FORGET | (Access.RETAIN if self.access == "full" else Access(0))
        seen |= Access.ARTIFACTS if self.artifacts else Access(0)
        return seen | Access.REFERENCE if self.reference else seen

    @property
    def kind(self) -> ModelKind:
        """Kind of its model."""
        return ModelKind.FIT_PREDICT if self.model == "object" else ModelKind.PARAMETERS

    def make(self, *, order: Sequence[int] | None = None, other_test: bool = False) -> ValuationProblem:
        """Return the problem; with player ``k`` renamed and put in place ``order[k]``, or with another test set."""
        return self._problem(self.access, order, other_test)

    def retrained(self, seed: int) -> NDArray[np.float64]:
        """Return the utilities of retraining without what a coalition lacks, ``[2**n_players]``."""
        return self._retraining(seed)[0]

    def retrained_outputs(self, seed: int) -> NDArray[np.float64]:
        """Return the outputs of retraining on the test set, ``[2**n_players, rows, ...]``."""
        return self._retraining(seed)[1]

    def _retraining(self, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Several problems are retrained alike, and only the network's training depends on the seed.
        alike = replace(self, name="", access="full", reference=True, artifacts=False)
        return _retrained(alike, seed if self.model == "network" else 0)

    def _problem(
        self, access: Literal["full", "partial"], order: Sequence[int] | None = None, other_test: bool = False
    ) -> ValuationProblem:
        classes = self.model in ("logistic", "network")
        x, y = _data(classes)
        model, recipe = _trained(self.model, self.dtype)
        labels = np.arange(_ROWS) if self.players in ("rows", "every_row") else _providers()
        everybody: dict[str, list[Any]] = {
            "providers": list("abcd"),
            "background": list("abc"),
            "rows": list(range(4)),
            "every_row": list(range(_ROWS)),
        }
        valued = everybody[self.players]
        if order is not None:
            names = {player: f"player {order[k]}" for k, player in enumerate(valued)}
            labels = np.array([names.get(label, "the rest") for label in labels.tolist()])
            valued = sorted(names.values())
        at_hand = np.isin(labels, valued) if access == "partial" else np.ones(_ROWS, dtype=bool)
        ends = np.cumsum([_ROWS, _TESTS, _REFERENCES])
        train, test, rest, others = zip(np.split(x, ends), np.split(y, ends), strict=True)
        return ValuationProblem(
            copy.deepcopy(model),
            (train[0][at_hand], train[1][at_hand]),
            others if other_test else test,
            loss="cross_entropy" if classes else "mse",
            metric="log_likelihood" if classes else "neg_mean_squared_error",
            groups=labels[at_hand],
            valued=valued,
            reference=rest if self.reference else None,
            access=access,
            trained_rows=_ROWS,
            fit=copy.deepcopy(recipe),
            artifacts=_artifacts(self) if self.artifacts and access == "partial" else None,
        )


PROBLEMS = (
    ProblemCase("ridge", "ridge", "providers"),
    ProblemCase("ridge-rows", "ridge", "rows"),
    ProblemCase("logistic", "logistic", "providers"),
    ProblemCase("logistic-background", "logistic", "background", reference=False),
    ProblemCase("logistic-rows", "logistic", "rows"),
    ProblemCase("logistic-partial", "logistic", "background", "partial"),
    ProblemCase("ridge-artifacts", "ridge", "background", "partial", artifacts=True),
    ProblemCase("logistic-artifacts", "logistic", "background", "partial", artifacts=True),
    ProblemCase("network", "network", "providers"),
    ProblemCase("network-background", "network", "background"),
    ProblemCase("network-float32", "network", "providers", dtype=torch.float32),
    ProblemCase("network-partial", "network", "background", "partial"),
    ProblemCase("object", "object", "providers"),
)

#: Problems with too many players for all coalitions.
LARGE_PROBLEMS = (
    ProblemCase("logistic-every-row", "logistic", "every_row"),
    ProblemCase("network-every-row", "network", "every_row"),
)


def all_coalitions(n_players: int) -> NDArray[np.bool_]:
    """Return all coalitions, ``[2**n_players, n_players]``: nobody first, everybody last."""
    return (np.arange(2**n_players)[:, None] >> np.arange(n_players) & 1).astype(bool)


def utilities(problem: ValuationProblem, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the utilities ``[m]`` of outputs on the test set, ``[m, rows, ...]``."""
    scores = problem.metric.score(torch.as_tensor(outputs), problem.y_test)
    result: NDArray[np.float64] = scores.double().cpu().numpy()
    return result


@cache
def _retrained(case: ProblemCase, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    problem = case._problem("full")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it cannot be batched, which is of no interest here
        models = Retrain().unlearn(problem, all_coalitions(problem.n_players), seed)
    outputs = models.outputs(problem.x_test).double().cpu().numpy()
    return utilities(problem, outputs), outputs


@cache
def _artifacts(case: ProblemCase) -> Artifacts:
    return compute_artifacts(case._problem("full"))


@cache
def _data(classes: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
    x, y = load_breast_cancer(return_X_y=True) if classes else load_diabetes(return_X_y=True)
    known = _ROWS + _TESTS + _REFERENCES
    order = np.random.default_rng(0).permutation(len(y))[: known + _OTHERS]
    x, y = x[order][:, :_FEATURES], y[order]
    x = (x - x[:known].mean(axis=0)) / x[:known].std(axis=0)
    return x, y if classes else ((y - y[:known].mean()) / y[:known].std())[:, None]


def _providers() -> NDArray[np.str_]:
    """Return the provider of every row: of unequal sizes."""
    return np.repeat(list("abcd"), [5, 9, 14, 20])


@cache
def _trained(kind: str, dtype: torch.dtype) -> tuple[Any, Recipe | None]:
    x, y = _data(kind in ("logistic", "network"))
    if kind == "object":
        return KernelRidge(alpha=1.0).fit(x[:_ROWS], y[:_ROWS]), None
    outputs = 1 if kind == "ridge" else 2
    make: Callable[[], nn.Module] = (
        (lambda: nn.Sequential(nn.Linear(_FEATURES, 6), nn.Tanh(), nn.Linear(6, outputs)))
        if kind == "network"
        else (lambda: nn.Linear(_FEATURES, outputs))
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = make().to(dtype)
    if kind != "network":
        for p in start.parameters():
            nn.init.zeros_(p)
    recipe = (
        Recipe("adam", lr=0.02, epochs=30, batch_size=16, init=start)
        if kind == "network"
        else Recipe("lbfgs", lr=1.0, epochs=500, batch_size=None, l2=1.0, init=start)
    )
    loss = LOSSES["mse" if kind == "ridge" else "cross_entropy"]
    labels = torch.as_tensor(y[:_ROWS])
    labels = labels.to(dtype) if kind == "ridge" else labels
    return recipe.train(start, loss, torch.as_tensor(x[:_ROWS], dtype=dtype), labels), recipe
