"""Exact and sampled Shapley values of groups of rows: by peers, who retrain with OpenDataVal's own ``fit``."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval.dataval import DataShapley
from opendataval.dataval.margcontrib import TMCSampler

from harness.tasks import TRAINING, Task
from harness.timing import NotRun, checked
from unshap_plugin import shapley_values

__all__ = ["Grouped", "Known", "coalitions_of", "opendataval_tmc", "own_fits", "pydvl_values"]


def coalitions_of(n: int) -> NDArray[np.bool_]:
    """Return all coalitions of n players, bool ``[2 ** n, n]``."""
    return np.array(list(product([False, True], repeat=n)))


@dataclass(frozen=True)
class Known:
    """The game whose utilities are known, of all coalitions in the order of ``coalitions_of``.

    Examples
    --------
    >>> shapley_values(Known(np.array([0.0, 1.0, 2.0, 3.0])), "exact").values
    array([2., 1.])
    """

    utilities: NDArray[np.float64]

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.utilities).bit_length() - 1

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return utilities ``[m]`` of coalitions ``[m, n]``."""
        return self.utilities[coalitions @ (1 << np.arange(self.n_players)[::-1])]


@dataclass(frozen=True)
class Grouped:
    """A task whose rows belong to groups, numbered from 0, ``[rows]``."""

    task: Task
    groups: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    def fit(self, players: Any) -> Any:
        """Return the model trained on the rows of some groups; without any, as it was before training."""
        return self.task.fit(np.flatnonzero(np.isin(self.groups, list(players))))


class OfGroups:
    """A model for OpenDataVal's evaluators, whose rows are numbers of groups ``[m, 1]``."""

    def __init__(self, grouped: Grouped) -> None:
        self.grouped = grouped
        self.model = grouped.task.start

    def clone(self) -> OfGroups:
        """Return an untrained one."""
        return OfGroups(self.grouped)

    def fit(self, x: Any, y: Any, **_: Any) -> OfGroups:
        """Train on the rows of the groups."""
        del y
        self.model = self.grouped.fit(int(x[index]) for index in range(len(x)))
        return self

    def predict(self, x: Any) -> Any:
        """Return probabilities ``[rows, classes]``."""
        return self.model.predict(x).detach()


def own_fits(grouped: Grouped, seed: int) -> NDArray[np.float64]:
    """Return exact values of groups, ``[n]``, of OpenDataVal's own fits of all coalitions, one after the other."""
    torch.manual_seed(seed)
    utilities = [grouped.task.likelihood(grouped.fit(np.flatnonzero(keep))) for keep in coalitions_of(grouped.n)]
    return shapley_values(Known(np.array(utilities)), "exact").values


def opendataval_tmc(grouped: Grouped, permutations: int, seed: int) -> NDArray[np.float64]:
    """Return what OpenDataVal's DataShapley gives, with truncated permutations from the empty coalition, ``[n]``."""
    torch.manual_seed(seed)
    task = grouped.task
    sampler = TMCSampler(permutations, min_cardinality=0, cache_name=None, random_state=seed)
    players = torch.arange(grouped.n)[:, None]
    evaluator = DataShapley(sampler)

    def metric(y: Any, outputs: Any) -> float:
        del y
        return task.likelihood_of(outputs)

    with contextlib.redirect_stderr(io.StringIO()):
        evaluator.input_data(players, torch.zeros(grouped.n, 1), task.x_valid, task.y_valid)
        evaluator.input_model_metric(OfGroups(grouped), metric)
        evaluator.train_data_values(**TRAINING)
    return checked(evaluator.evaluate_data_values(), grouped.n)


class OfRows:
    """A model for pyDVL, whose features are row numbers ``[m, 1]``."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = task.start

    def fit(self, x: NDArray[Any] | None, y: Any) -> OfRows:
        """Train on these rows."""
        del y
        self.model = self.task.fit(np.zeros(0, dtype=int) if x is None else x[:, 0].astype(int))
        return self

    def predict(self, x: Any) -> Any:
        """Return probabilities of the validation rows, whatever is asked."""
        del x
        return self.model.predict(self.task.x_valid).detach().numpy()

    def score(self, x: Any, y: Any) -> float:
        """Return the utility."""
        del x, y
        return self.task.likelihood(self.model)


def pydvl_values(grouped: Grouped, permutations: int, seed: int, kind: str) -> NDArray[np.float64]:
    """Return what pyDVL's permutations give, ``[n]``: ``"tmc"`` with its default truncation, or ``"permutation"``.

    Raises
    ------
    NotRun
        If pyDVL is not installed.
    """
    try:
        from pydvl.valuation import methods, samplers, stopping
        from pydvl.valuation.dataset import GroupedDataset
        from pydvl.valuation.scorers import SupervisedScorer
        from pydvl.valuation.utility import ModelUtility
    except ImportError as error:
        raise NotRun("pyDVL is not installed") from error
    torch.manual_seed(seed)
    task, rows = grouped.task, np.arange(len(grouped.groups), dtype=float)[:, None]
    data = GroupedDataset(rows, np.zeros(len(rows)), grouped.groups)
    model = OfRows(task)
    scorer = SupervisedScorer(OfRows.score, test_data=data, default=task.likelihood(task.start))
    utility = ModelUtility(model, scorer, catch_errors=False, show_warnings=False)
    enough = stopping.MinUpdates(permutations)
    if kind == "tmc":
        valuation = methods.TMCShapleyValuation(utility, is_done=enough, seed=seed)
    else:
        valuation = methods.ShapleyValuation(utility, samplers.PermutationSampler(seed=seed), enough)
    result = valuation.fit(data).result
    values = np.full(grouped.n, np.nan)
    values[np.asarray(result.indices)] = result.values
    return checked(values, grouped.n)
