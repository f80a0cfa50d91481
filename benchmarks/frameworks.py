"""Values of providers in other frameworks: their own methods and ours through their interface, against exact values.

    python benchmarks/frameworks.py [--runs 5]

Ten providers share 300 rows of breast_cancer, or 400 digits that are to be told odd from even, in unequal parts, and
three of them have a third of their labels wrong. The model is scikit-learn's LogisticRegression, the utility minus the
mean logistic loss on the other rows, since dattri's methods go by gradients. Exact are the Shapley values of all 1,024
subsets, each retrained. pyDVL and shapiq retrain too, as their users do: pyDVL by its ``ModelUtility``, shapiq by a
game that fits and scores; nobody's data are worth what the exact game says of them. dattri's attributors score rows of
the same model, written in torch: a provider is worth the sum over its rows, times the factor that fits the exact values
best, since these scores have units of their own. Ours go through the same interfaces, by the unlearner that ``"auto"``
takes. Seconds are those of the processor, for one thread, the training of the one model and what is computed once
included. Medians over runs with different seeds; data and seeds were fixed beforehand, and nothing was chosen on them.
Needs pyDVL, shapiq and dattri.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pydvl.valuation as dvl
import shapiq
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from unshap_dattri import UnlearningAttributor
from unshap_pydvl import UnlearningUtility, UnlearningValuation
from unshap_shapiq import UnlearningShapiqGame

# isort: split
from dattri.algorithm.influence_function import IFAttributorEKFAC, IFAttributorExplicit
from dattri.task import AttributionTask

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values

PROVIDERS = 10
CASES = {"breast_cancer": (load_breast_cancer, 300), "digits, odd or even": (load_digits, 400)}


class Case:
    """Data of a case in the forms of all frameworks, and the exact values."""

    def __init__(self, name: str) -> None:
        load, rows = CASES[name]
        x, y = load(return_X_y=True)
        rng = np.random.default_rng(0)
        order = rng.permutation(len(y))
        x, y = scale(x)[order], y[order] % 2
        self.owners = rng.choice(PROVIDERS, rows, p=np.arange(5, 5 + PROVIDERS) / np.arange(5, 5 + PROVIDERS).sum())
        wrong = (rng.random(rows) < 1 / 3) & np.isin(self.owners, [2, 5, 8])
        labels = np.where(wrong, rng.permutation(y[:rows]), y[:rows])
        self.train, self.test = (x[:rows], labels), (x[rows:], y[rows:])
        exact = shapley_values(UnlearningGame(self.problem(), "retrain"), "exact")
        self.exact, self.nobody = exact.values, float(exact.utility_none)
        self.grouped = dvl.GroupedDataset(*self.train, self.owners)

    @staticmethod
    def model() -> LogisticRegression:
        """Return a model that is not fitted."""
        return LogisticRegression(max_iter=1_000)

    def problem(self) -> ValuationProblem:
        """Return the problem of the fitted model."""
        model = self.model().fit(*self.train)
        return ValuationProblem(model, self.train, self.test, groups=self.owners, metric="log_likelihood")

    def scorer(self) -> dvl.SupervisedScorer:
        """Return the utility as pyDVL has it."""
        return dvl.SupervisedScorer("neg_log_loss", dvl.Dataset(*self.test), default=self.nobody)

    def loaders(self) -> tuple[DataLoader[Any], DataLoader[Any]]:
        """Return loaders of the training and of the test rows, in one batch each."""
        pairs = ((torch.as_tensor(x).float(), torch.as_tensor(y)) for x, y in (self.train, self.test))
        train, test = (TensorDataset(*pair) for pair in pairs)
        return DataLoader(train, len(train)), DataLoader(test, len(test))

    def task(self) -> AttributionTask:
        """Return the fitted model as a task of dattri's: half of each weight for, and half against, a class."""
        fitted, module = self.model().fit(*self.train), nn.Sequential(nn.Linear(self.train[0].shape[1], 2))
        halves = np.array([[-0.5], [0.5]])
        weight, bias = (torch.as_tensor(halves * part).float() for part in (fitted.coef_, fitted.intercept_))
        module[0].weight.data, module[0].bias.data = weight, bias[:, 0]

        def loss(params: Any, data: Any) -> Tensor:
            return cross_entropy(torch.func.functional_call(module, params, (data[0],)), data[1])

        return AttributionTask(loss, module, module.state_dict())


class Refits(shapiq.Game):  # type: ignore[misc]
    """The game of a case as a user of shapiq writes it: fit and score, subset by subset."""

    def __init__(self, case: Case) -> None:
        self.case = case
        super().__init__(PROVIDERS, normalization_value=case.nobody)

    def value_function(self, coalitions: np.ndarray) -> np.ndarray:
        """Return the utilities ``[m]``."""
        return np.array([self.worth(coalition) for coalition in coalitions])

    def worth(self, coalition: np.ndarray) -> float:
        """Return the utility of a model of these providers' rows."""
        case, kept = self.case, coalition.astype(bool)[self.case.owners]
        if not kept.any():
            return case.nobody
        fitted = case.model().fit(case.train[0][kept], case.train[1][kept])
        return -float(log_loss(case.test[1], fitted.predict_proba(case.test[0])))


def provided(case: Case, attributor: Any) -> np.ndarray:
    """Return what the rows of each provider are worth in all at a test row, ``[PROVIDERS]``, by an attributor."""
    train, test = case.loaders()
    with contextlib.redirect_stderr(io.StringIO()):  # of dattri's progress
        attributor.cache(train)
        scores = attributor.attribute(train, test)
    return np.bincount(case.owners, scores.detach().double().mean(dim=1).numpy())


def ways(budget: int) -> Iterator[tuple[str, str, Callable[[Case, int], np.ndarray]]]:
    """Yield frameworks, methods, and functions of a case and a seed to values, for about so many utilities."""
    permutations = dvl.MinUpdates(max(1, budget // PROVIDERS))

    def by_pydvl(case: Case, utility: object, seed: int) -> np.ndarray:
        sampler = dvl.AntitheticPermutationSampler(seed=seed)
        found = dvl.ShapleyValuation(utility, sampler, is_done=permutations).fit(case.grouped).result
        return found.values[np.argsort(found.indices)]

    def ours_in_pydvl(case: Case, seed: int) -> np.ndarray:
        utility = UnlearningUtility(case.model(), case.scorer())
        found = UnlearningValuation(utility, budget=budget, seed=seed).fit(case.grouped).result
        return found.values[np.argsort(found.indices)]

    def by_shapiq(game: shapiq.Game, seed: int) -> np.ndarray:
        found = shapiq.KernelSHAP(n=PROVIDERS, random_state=seed).approximate(budget, game)
        return np.array([found[(player,)] for player in range(PROVIDERS)])

    yield (
        "pyDVL",
        "ShapleyValuation, antithetic permutations, retraining",
        lambda case, seed: by_pydvl(case, dvl.ModelUtility(case.model(), case.scorer()), seed),
    )
    yield (
        "pyDVL",
        "the same, UnlearningUtility",
        lambda case, seed: by_pydvl(case, UnlearningUtility(case.model(), case.scorer()), seed),
    )
    yield "pyDVL", "UnlearningValuation", ours_in_pydvl
    yield "shapiq", "KernelSHAP, retraining", lambda case, seed: by_shapiq(Refits(case), seed)
    yield (
        "shapiq",
        "the same, UnlearningShapiqGame",
        lambda case, seed: by_shapiq(UnlearningShapiqGame(case.problem()), seed),
    )

    def fitting(case: Case, attributor: Any) -> np.ndarray:
        found = provided(case, attributor)
        return found * (found @ case.exact) / (found @ found)

    for name, kind, damping in (
        ("influence, explicit", IFAttributorExplicit, "regularization"),
        ("influence, EK-FAC", IFAttributorEKFAC, "damping"),
    ):
        yield (
            "dattri",
            name,
            # The penalty of the mean loss, in the weights of two outputs.
            lambda case, _, kind=kind, damping=damping: fitting(  # type: ignore[misc]
                case, kind(case.task(), device="cpu", **{damping: 2 / len(case.owners)})
            ),
        )
    yield (
        "dattri",
        "UnlearningAttributor",
        lambda case, seed: provided(
            case, UnlearningAttributor(case.task(), budget=budget, groups=case.owners, seed=seed)
        ),
    )


def main() -> None:
    """Print a row for each case, budget and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 400])
    given = parser.parse_args()
    print("| case | utilities | framework | method | correlation | error | seconds |\n" + "|---" * 7 + "|")
    for name in given.cases:
        case = Case(name)
        for budget in given.budgets:
            for framework, method, values in ways(budget):
                found = []
                for seed in range(given.runs):
                    begin = time.process_time()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # of pyDVL's decorators
                        got = values(case, seed)
                    seconds = time.process_time() - begin
                    off = got - case.exact
                    found.append((np.corrcoef(got, case.exact)[0, 1], off @ off / (case.exact @ case.exact), seconds))
                correlation, error, seconds = np.median(found, axis=0)
                print(
                    f"| {name} | {budget} | {framework} | {method} | {correlation:.3f} | {error:.2g} | {seconds:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
