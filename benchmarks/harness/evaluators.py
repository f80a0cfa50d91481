"""Evaluators of training rows: ours and OpenDataVal's, all run through OpenDataVal's own interface."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval import dataval
from opendataval.dataval.margcontrib import TMCSampler
from opendataval.metrics import Metrics
from unshap_opendataval import UnlearningShapley

from harness.tasks import TRAINING, Task
from harness.timing import checked

__all__ = ["OURS", "of_permutations", "row_values", "run_evaluator"]

#: Of which the others' times are multiples.
OURS = "UnlearningShapley"


def run_evaluator(make: Callable[[], Any], task: Task, seed: int) -> NDArray[np.float64]:
    """Return the values of the training rows, ``[rows]``, by an evaluator of OpenDataVal's interface."""
    torch.manual_seed(seed)
    evaluator = make()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        evaluator.input_data(task.x, task.y, task.x_valid, task.y_valid)
        if hasattr(evaluator, "input_model_metric"):
            evaluator.input_model_metric(task.start, Metrics.ACCURACY)
        elif hasattr(evaluator, "input_model"):
            evaluator.input_model(task.start)
        evaluator.train_data_values(**TRAINING)
        values = evaluator.evaluate_data_values()
    return checked(values, len(task.y))


def of_permutations(cls: Any, permutations: int, seed: int, **kwargs: Any) -> Any:
    """Return a semivalue of OpenDataVal that samples so many truncated permutations."""
    return cls(TMCSampler(permutations, cache_name=None, random_state=seed), **kwargs)


def row_values(task: Task, seed: int, sizes: Mapping[str, int]) -> dict[str, Callable[[], NDArray[np.float64]]]:
    """Return what gives values of rows, by name.

    Parameters
    ----------
    task, seed
        What to value; the seed of whatever draws at random.
    sizes
        ``models`` that are trained by those that bag or sample subsets, ``permutations`` of those that add rows, and
        ``budget`` of our longer run.
    """
    models, permutations, budget = (sizes[key] for key in ("models", "permutations", "budget"))

    makers: dict[str, Callable[[], Any]] = {
        OURS: partial(UnlearningShapley, random_state=seed),
        f"{OURS}, {budget:,} coalitions": partial(UnlearningShapley, budget=budget, random_state=seed),
        f"{OURS}(retrain)": partial(UnlearningShapley, "retrain", random_state=seed),
        "LeaveOneOut": partial(dataval.LeaveOneOut, random_state=seed),
        "KNNShapley(10)": partial(dataval.KNNShapley, 10),
        f"DataOob({models})": partial(dataval.DataOob, models, random_state=seed),
        "InfluenceFunction": dataval.InfluenceFunction,
        f"InfluenceSubsample({models})": partial(dataval.InfluenceSubsample, models, random_state=seed),
        f"AME(4 x {models // 4})": partial(dataval.AME, models // 4, random_state=seed),
        f"DataBanzhaf({models})": partial(dataval.DataBanzhaf, models, random_state=seed),
        f"DataShapley({permutations} permutations)": partial(of_permutations, dataval.DataShapley, permutations, seed),
        f"BetaShapley({permutations} permutations)": partial(
            of_permutations, dataval.BetaShapley, permutations, seed, alpha=4, beta=1
        ),
    }
    return {name: partial(run_evaluator, make, task, seed) for name, make in makers.items()}
