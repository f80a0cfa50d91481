"""Values of retraining a language model from few retrainings, with and without unlearning beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from harness.report import Row, Table
from numpy.typing import NDArray
from unshap_transformers.example import Example
from unshap_transformers.problems import source_problem

from language.agreement import Known, all_of, values_of
from language.settings import Method
from unshap_plugin import UnlearningGame, corrected_values, shapley_values

__all__ = ["corrected_rows", "corrected_table"]

CHUNK = 8


def corrected_rows(example: Example, methods: Mapping[str, Method], retrainings: int, runs: int) -> Iterator[Row]:
    """Yield a row for each estimator: its mean squared error over that of values that are all alike.

    Parameters
    ----------
    example
        The model and its data.
    methods
        Unlearners by name, each with full access.
    retrainings
        How many coalitions each run retrains, those of everybody and of nobody among them.
    runs
        How many runs, of a seed each.
    """
    problem = source_problem(example.model, **example.data())
    everybody = all_of(problem.n_players)
    truth = UnlearningGame(problem, "retrain", seed=1, chunk=CHUNK)(everybody)
    retrained, exact = Known(truth), values_of(truth)
    found = [shapley_values(retrained, "stratified", retrainings, seed).values for seed in range(runs)]
    yield {"method": "retrainings alone", "error": _error(found, exact)}
    for name, method in methods.items():
        known = Known(UnlearningGame(problem, method.unlearner, chunk=CHUNK, **method.settings)(everybody))
        found = [corrected_values(known, retrainings, seed, retrained=retrained).values for seed in range(runs)]
        yield {"method": f"corrected {name}", "error": _error(found, exact)}
        yield {"method": f"{name} alone", "error": _error([values_of(known.utilities)], exact)}


def _error(found: Sequence[NDArray[np.float64]], exact: NDArray[np.float64]) -> float:
    return float(np.mean((np.array(found) - exact) ** 2) / np.mean((exact - exact.mean()) ** 2))


def corrected_table(rows: Sequence[Row]) -> Table:
    """Return the table: a line for each estimator, its error for each model, and the geometric mean."""
    models = list(dict.fromkeys((row["kind"], row["seed"]) for row in rows))
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        errors = [
            next(row["error"] for row in rows if (row["kind"], row["seed"], row["method"]) == (*model, method))
            for model in models
        ]
        lines.append([method, *(f"{one:.2g}" for one in errors), f"{np.exp(np.mean(np.log(errors))):.2g}"])
    header = ["estimator", *(f"{kind}, {seed}" for kind, seed in models), "geometric mean"]
    return Table("Squared error over the spread of the values.", header, lines)
