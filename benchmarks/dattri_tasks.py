"""Scores of training rows in dattri: its own attributors and ours through its interface, against exact values.

    python benchmarks/dattri_tasks.py [--runs 3]

Eight providers share 200 digits in unequal parts, and three of them have a third of their labels wrong. The model is a
linear layer in torch, trained to its optimum with a penalty; the target is the loss at each of 100 test digits. Exact
are the Shapley values of all 256 subsets of providers at every test digit, each retrained. An attributor scores rows,
and a provider is worth the sum over its rows. Columns: the correlation with the exact values of the providers, of all
test digits together and the mean over test digits; dattri's linear datamodeling score, on 60 models retrained on half
of the rows; the area under its curve of wrong labels; seconds of the processor, for one thread, of ``cache`` and
``attribute``. Medians over runs with different seeds, where a method takes one.

dattri's methods have its defaults, but for the damping of influence functions, which is that of the penalty, five
neighbours, and TRAK's projection to 128 dimensions, of one checkpoint as for all. Data, settings and seeds were fixed
beforehand, and nothing was chosen on them. Needs dattri.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset
from unshap_dattri import UnlearningAttributor

# isort: split
from dattri.algorithm.data_shapley import KNNShapleyAttributor
from dattri.algorithm.influence_function import IFAttributorDataInf, IFAttributorEKFAC, IFAttributorExplicit
from dattri.algorithm.tracin import TracInAttributor
from dattri.algorithm.trak import TRAKAttributor
from dattri.metric import lds, mislabel_detection_auc
from dattri.task import AttributionTask

from unshap_plugin import Recipe, shapley_values
from unshap_plugin.losses import cross_entropy

PROVIDERS, ROWS, TESTS, SUBSETS = 8, 200, 100, 60
#: Of the mean loss: the strength of the penalty, half of the squared parameters.
L2 = 0.05

Scores = Callable[["Trained", int], Tensor]


class Trained:
    """A linear model of some rows, as a task of dattri's, and the models of their subsets."""

    def __init__(self, train: TensorDataset, test: TensorDataset, *, bias: bool = True) -> None:
        self.train, self.test, self.bias = train, test, bias
        self.model = self.trained(np.ones(len(train), dtype=bool))

    def strength(self, rows: int) -> float:  # noqa: ARG002 - of the sum of their losses it would be a share
        """Return the strength of the penalty beside the mean loss of so many rows."""
        return L2

    def trained(self, kept: NDArray[np.bool_]) -> nn.Module:
        """Return the model of some rows, ``[rows]``, from zero to the optimum."""
        x, y = self.train.tensors
        linear = nn.Linear(x.shape[1], int(y.max()) + 1, bias=self.bias)
        start = nn.Sequential(linear)  # dattri's EK-FAC looks for layers within the model
        for parameter in start.parameters():
            nn.init.zeros_(parameter)
        mine = torch.as_tensor(kept)
        if not mine.any():
            return start
        recipe = Recipe("lbfgs", lr=1.0, epochs=60, batch_size=None, l2=self.strength(int(mine.sum())))
        return recipe.train(start, cross_entropy, x[mine], y[mine])

    def utility(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return minus the loss of the retrained model at each test row, ``[tests]``."""
        with torch.no_grad():
            x, y = self.test.tensors
            return -cross_entropy(self.trained(kept)(x).double(), y).numpy()

    def loaders(self) -> tuple[DataLoader[Any], DataLoader[Any]]:
        """Return loaders of the training and of the test rows, as large as dattri advises."""
        return DataLoader(self.train, len(self.train)), DataLoader(self.test, len(self.test))

    def task(self, **others: Any) -> AttributionTask:
        """Return the task, in which a batch has a dimension of rows."""
        return AttributionTask(others.pop("loss_func", self.loss), self.model, self.model.state_dict(), **others)

    def loss(self, params: Any, data: Any) -> Tensor:
        """Return the loss of a batch."""
        return F.cross_entropy(functional_call(self.model, params, (data[0],)), data[1])

    def loss_of_one(self, params: Any, data: Any) -> Tensor:
        """Return the loss of a row without a batch."""
        return self.loss(params, (data[0][None], data[1][None]))

    def log_odds(self, params: Any, data: Any) -> Tensor:
        """Return the margin of a row, which TRAK attributes."""
        log_p = -self.loss_of_one(params, data)
        return log_p - torch.log1p(-log_p.exp())

    def correct(self, params: Any, data: Any) -> Tensor:
        """Return the probability of the label of a row."""
        return (-self.loss_of_one(params, data)).exp()


class Case(Trained):
    """The digits, with exact values of their providers, and retrained models."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        x, y = load_digits(return_X_y=True)
        order = rng.permutation(len(y))[: ROWS + TESTS]
        pixels, labels = torch.as_tensor(scale(x[order], with_std=False) / 8).float(), torch.as_tensor(y[order])
        shares = np.arange(5, 5 + PROVIDERS)
        self.owners = rng.choice(PROVIDERS, ROWS, p=shares / shares.sum())
        wrong = (rng.random(ROWS) < 1 / 3) & np.isin(self.owners, [2, 4, 6])
        self.wrong = torch.as_tensor(wrong)
        given = torch.where(self.wrong, (labels[:ROWS] + 1) % 10, labels[:ROWS])
        super().__init__(TensorDataset(pixels[:ROWS], given), TensorDataset(pixels[ROWS:], labels[ROWS:]))
        rows = np.stack([rng.permutation(ROWS)[: ROWS // 2] for _ in range(SUBSETS)])
        kept = (rows[:, :, None] == np.arange(ROWS)).any(axis=1)
        self.truth = torch.as_tensor(np.stack([self.utility(one) for one in kept])), torch.as_tensor(rows)
        self.exact = shapley_values(Retrained(self), "exact").values


class Retrained:
    """The game of providers, each subset of which is retrained."""

    def __init__(self, case: Case) -> None:
        self.case, self.n_players = case, PROVIDERS

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m, TESTS]``."""
        return np.stack([self.case.utility(one[self.case.owners]) for one in coalitions])


def of(make: Callable[[Trained, int], Any]) -> Scores:
    """Return a function to the scores ``[ROWS, TESTS]`` of an attributor with ``cache`` and ``attribute``."""

    def scores(case: Trained, seed: int) -> Tensor:
        attributor, (train, test) = make(case, seed), case.loaders()
        attributor.cache(train)
        return attributor.attribute(train, test)

    return scores


def trak(case: Trained, seed: int) -> Tensor:
    """Return the scores of TRAK, which remembers the training rows that it cached."""
    task = case.task(loss_func=case.log_odds)
    projector = {"proj_dim": 128, "device": "cpu", "proj_seed": seed}
    attributor, (train, test) = TRAKAttributor(task, case.correct, projector), case.loaders()
    attributor.cache(train)
    return attributor.attribute(test)


def tracin(case: Trained, _: int) -> Tensor:
    """Return the scores of the one checkpoint."""
    task = case.task(loss_func=case.loss_of_one)
    return TracInAttributor(task, weight_list=torch.ones(1), normalized_grad=False).attribute(*case.loaders())


def neighbours(count: int) -> Scores:
    """Return a function to the Shapley values of a classifier by so many neighbours."""
    return lambda case, _: KNNShapleyAttributor(count).attribute(*case.loaders()).T


def influence(kind: type, **settings: float) -> Scores:
    """Return a function to the scores of influence functions, whose curvature comes in some form."""
    return of(lambda case, _: kind(case.task(), device="cpu", **settings))


def unlearning(semivalue: str | None, budget: int) -> Scores:
    """Return a function to our scores."""
    return of(lambda case, seed: UnlearningAttributor(case.task(), budget=budget, semivalue=semivalue, seed=seed))


#: By their names, functions of a case and a seed to scores ``[ROWS, TESTS]``.
WAYS: dict[str, Scores] = {
    "dattri: TracIn": tracin,
    "dattri: KNN Shapley": neighbours(5),
    "dattri: TRAK": trak,
    "dattri: influence, DataInf": influence(IFAttributorDataInf, regularization=L2),
    "dattri: influence, EK-FAC": influence(IFAttributorEKFAC, damping=L2),
    "dattri: influence, explicit": influence(IFAttributorExplicit, regularization=L2),
    "ours: Shapley, 1,000 utilities": unlearning(None, 1_000),
    "ours: Shapley, 5,000 utilities": unlearning(None, 5_000),
    "ours: Banzhaf, 1,000 utilities": unlearning("banzhaf", 1_000),
    "ours: Banzhaf, 5,000 utilities": unlearning("banzhaf", 5_000),
    "ours: leave-one-out": unlearning("loo", ROWS + 1),
}


def measured(case: Case, scores: Scores, seed: int) -> list[float]:
    """Return the figures of one run."""
    begin = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):  # of dattri's progress
        found = scores(case, seed).detach().double()
    seconds = time.process_time() - begin
    mine = torch.as_tensor(case.owners == np.arange(PROVIDERS)[:, None])
    worth = (mine.double() @ found).numpy()
    each = np.nanmean([np.corrcoef(worth[:, k], case.exact[:, k])[0, 1] for k in range(TESTS)])
    mean = np.corrcoef(worth.mean(axis=1), case.exact.mean(axis=1))[0, 1]
    fits = float(lds(found, case.truth)[0].nanmean())
    auc = float(mislabel_detection_auc(-found.mean(dim=1), case.wrong)[0])
    return [mean, each, fits, auc, seconds]


def main() -> None:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    case = Case()
    columns = ("method", "exact values, together", "at each test digit", "LDS", "wrong labels", "seconds")
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, scores in WAYS.items():
        figures = np.median([measured(case, scores, seed) for seed in range(runs)], axis=0)
        print(f"| {name} | " + " | ".join(f"{one:.3f}" for one in figures[:4]) + f" | {figures[4]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
