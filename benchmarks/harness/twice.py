"""Games of providers that are played twice, retrained and unlearned, over all coalitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from harness.games import of_table, shared_out
from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.estimators import Exact
from unshap_plugin.losses import cross_entropy

__all__ = ["CASES", "CHOSEN_ON", "HELD_OUT", "LOOKED_AT", "Case", "Twice", "played"]

#: A function of coalitions.
Utilities = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
CHOSEN_ON, LOOKED_AT, HELD_OUT = "chosen on", "looked at", "held out"
LINEAR = {
    "logistic regression": lambda: LogisticRegression(max_iter=1000),
    "logistic regression, small": lambda: LogisticRegression(C=0.1, max_iter=1000),
    "ridge": lambda: Ridge(1.0),
    "ridge, small": lambda: Ridge(30.0),
}
#: Epochs of Adam, at the rate .01: before the loss is low, when it is, and long after.
EPOCHS = {"network, stopped early": 5, "network, stopped in time": 20, "network, stopped late": 60}
METRICS = {"log_likelihood": "log-likelihood", "accuracy": "accuracy", "neg_mean_squared_error": "squared error"}
HIDDEN, REFERENCE = 16, 40


@dataclass(frozen=True)
class Case:
    """What is valued, and how it is unlearned.

    Attributes
    ----------
    use
        Whether a setting was chosen on it, or it was looked at before the last setting was chosen on others.
    data, rows, players, seed, model, metric
        See ``shared_out``; the model is one of ``LINEAR`` or ``EPOCHS``.
    unlearner, settings
        The one whose utilities are at hand.
    partial
        Whether it sees the forget rows and a reference set alone.
    """

    use: str
    data: str
    rows: int
    players: int
    seed: int
    model: str
    metric: str
    unlearner: str
    settings: dict[str, Any]
    partial: bool = False

    @property
    def name(self) -> str:
        """What the retrained game is called in tables."""
        return f"{self.data}, {self.model}, {METRICS[self.metric]}"


@dataclass(frozen=True)
class Twice:
    """Both games.

    Attributes
    ----------
    retrained, unlearned
        From coalitions, bool ``[m, n_players]``, to utilities ``[m]``.
    values, unlearned_values
        Their Shapley values ``[n_players]``.
    unlearner
        What it is called in tables.
    """

    retrained: Utilities
    unlearned: Utilities
    values: NDArray[np.float64]
    unlearned_values: NDArray[np.float64]
    unlearner: str


CASES = (
    Case(CHOSEN_ON, "breast_cancer", 300, 12, 0, "logistic regression", "log_likelihood", "newton", {"steps": 1}),
    Case(CHOSEN_ON, "digits", 300, 10, 1, "logistic regression", "accuracy", "influence", {}),
    Case(CHOSEN_ON, "wine", 90, 10, 2, "network, stopped early", "log_likelihood", "finetune", {}),
    Case(CHOSEN_ON, "iris", 75, 9, 4, "logistic regression", "log_likelihood", "gradient_ascent", {}, True),
    Case(CHOSEN_ON, "breast_cancer", 200, 10, 3, "network, stopped late", "accuracy", "auto", {}, True),
    Case(CHOSEN_ON, "digits", 300, 10, 20, "network, stopped late", "accuracy", "auto", {}),
    Case(LOOKED_AT, "wine", 100, 11, 5, "logistic regression", "log_likelihood", "influence", {}),
    Case(LOOKED_AT, "breast_cancer", 150, 10, 6, "logistic regression", "accuracy", "newton", {"steps": 1}),
    Case(LOOKED_AT, "diabetes", 250, 11, 7, "ridge", "neg_mean_squared_error", "influence", {}),
    Case(CHOSEN_ON, "digits", 300, 8, 8, "network, stopped early", "log_likelihood", "finetune", {}),
    Case(LOOKED_AT, "digits", 250, 10, 10, "network, stopped late", "accuracy", "anchored", {}, True),
    Case(CHOSEN_ON, "wine", 100, 11, 5, "logistic regression", "accuracy", "auto", {}),
    Case(CHOSEN_ON, "digits", 300, 8, 8, "network, stopped early", "log_likelihood", "replay", {}),
    Case(LOOKED_AT, "iris", 75, 9, 9, "network, stopped late", "log_likelihood", "auto", {}),
    Case(LOOKED_AT, "breast_cancer", 200, 10, 21, "network, stopped late", "accuracy", "auto", {}),
    Case(LOOKED_AT, "wine", 90, 10, 11, "network, stopped early", "log_likelihood", "auto", {}, True),
    Case(LOOKED_AT, "breast_cancer", 200, 12, 12, "logistic regression", "log_likelihood", "auto", {}, True),
    Case(LOOKED_AT, "diabetes", 250, 11, 7, "ridge", "neg_mean_squared_error", "auto", {}, True),
    Case(HELD_OUT, "friedman", 220, 9, 31, "ridge, small", "neg_mean_squared_error", "influence", {}),
    Case(HELD_OUT, "blobs", 240, 8, 32, "network, stopped in time", "log_likelihood", "replay", {}),
    Case(HELD_OUT, "blobs", 200, 10, 33, "logistic regression, small", "accuracy", "auto", {}),
    Case(HELD_OUT, "digits", 200, 8, 34, "network, stopped in time", "log_likelihood", "finetune", {}),
    Case(HELD_OUT, "wine", 80, 9, 35, "network, stopped in time", "accuracy", "auto", {}, True),
    Case(HELD_OUT, "breast_cancer", 120, 11, 36, "network, stopped in time", "log_likelihood", "graddiff", {}),
    Case(HELD_OUT, "friedman", 180, 10, 37, "ridge, small", "neg_mean_squared_error", "auto", {}, True),
    Case(HELD_OUT, "iris", 90, 10, 38, "logistic regression, small", "log_likelihood", "newton", {"steps": 1}),
    Case(HELD_OUT, "blobs", 260, 11, 39, "network, stopped late", "accuracy", "gradient_ascent", {}, True),
)


def played(case: Case) -> Twice:
    """Return both games."""
    x, y, groups, (x_test, y_test) = shared_out(case.data, case.rows, case.players, case.seed)
    given: dict[str, Any] = {"metric": case.metric, "groups": groups}
    reference, x_test, y_test = x_test[:REFERENCE], x_test[REFERENCE:], y_test[REFERENCE:]
    if case.model in LINEAR:
        model: Any = LINEAR[case.model]().fit(x, y)
    else:
        x, x_test, reference = (torch.as_tensor(one, dtype=torch.float32) for one in (x, x_test, reference))
        y, y_test = torch.as_tensor(y), torch.as_tensor(y_test)
        classes = int(y.max()) + 1
        with torch.random.fork_rng():
            torch.manual_seed(case.seed)
            start = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
        recipe = Recipe("adam", lr=0.01, epochs=EPOCHS[case.model], batch_size=32, init=start)
        model = recipe.train(start, cross_entropy, x, y)
        given |= {"loss": cross_entropy, "fit": recipe}
    problem = ValuationProblem(model, (x, y), (x_test, y_test), **given)
    seen = problem
    if case.partial:
        given.pop("fit", None)
        seen = ValuationProblem(
            model, (x, y), (x_test, y_test), access="partial", reference=reference, trained_rows=len(y), **given
        )
    every = np.arange(1 << case.players)[:, None] >> np.arange(case.players) & 1 > 0
    unlearning = UnlearningGame(seen, case.unlearner, **case.settings)
    tables = UnlearningGame(problem, "retrain")(every), unlearning(every)
    games = [of_table(table) for table in tables]
    values = [Exact(case.players, None, 0).run(game).values for game in games]
    more = [*(f"{key}={value}" for key, value in case.settings.items())]
    more += ["partial access"] * case.partial + ["auto"] * (case.unlearner == "auto")
    name = unlearning.unlearner.name + (f" ({', '.join(more)})" if more else "")
    return Twice(games[0], games[1], values[0], values[1], name)
