"""The real data that ships with scikit-learn, as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from unshap_plugin.cli._labels import Task
from unshap_plugin.cli._sources import Source
from unshap_plugin.cli._tables import TEST_SHARE, Table, make_table
from unshap_plugin.errors import UnknownNameError

__all__ = ["EXAMPLES", "example"]

EXAMPLES: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}

#: Rows to train and to test on, at most.
_MOST, _MOST_TEST = 200, 1000


def example(name: str, *, task: Task | None = None, seed: int = 0) -> Table:
    """Return one of scikit-learn's data sets, split into at most 200 training and 1,000 test rows.

    Parameters
    ----------
    name
        One of ``EXAMPLES``.
    task
        See ``read_tables``.
    seed
        Seed of the split.

    Raises
    ------
    UnknownNameError
        If there is no such example.
    """
    if name not in EXAMPLES:
        raise UnknownNameError("example", name, EXAMPLES)
    data = EXAMPLES[name]()
    frame = pd.DataFrame(data.data).rename(columns=str)
    task = task or ("classification" if "target_names" in data else "regression")
    named = "target_names" in data and task == "classification"
    frame["target"] = np.asarray(data.target_names)[data.target].astype(str) if named else data.target
    n_test = max(len(frame) - _MOST, round(TEST_SHARE * len(frame)))
    source = Source(f"example {name!r}", frame)
    return make_table(source, label="target", task=task, seed=seed, n_test=n_test, most_test=_MOST_TEST)
