"""``UnlearningUtility``: the utility of keeping data, by unlearning the rest, as a utility of pyDVL's."""

from __future__ import annotations

import os
import uuid
from typing import Any

import numpy as np
from pydvl.valuation import Dataset, SupervisedScorer
from pydvl.valuation.types import Sample
from pydvl.valuation.utility.base import UtilityBase
from sklearn.base import clone
from sklearn.metrics import get_scorer, get_scorer_names
from torch import nn
from typing_extensions import Self

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError
from unshap_plugin.evaluation.evaluation import EXCLUDING
from unshap_plugin.model.generators import seeded
from unshap_plugin.plugin import Unlearner
from unshap_plugin.support.digest import digest
from unshap_pydvl.datasets import Rows, rows_of

__all__ = ["UnlearningUtility"]

#: The game that this process had last, by the mark of the utility: a worker gets a utility with every batch.
_last: dict[str, UnlearningGame] = {}


class UnlearningUtility(UtilityBase):  # type: ignore[misc]
    """The utility of a subset of the training data: what is left of the model's performance once the rest is unlearned.

    It stands where pyDVL's methods take a ``ModelUtility``, and takes no training but one on all data. Nothing depends
    on the order of a sample, and nothing is caught: a subset that cannot be evaluated is an error.

    Parameters
    ----------
    model
        An object with ``fit``, such as scikit-learn's, of which a clone is fitted on the data; or a trained torch
        module, which is taken to be trained on them.
    test
        The data set ``[rows, ...]`` that performance is measured on, by the log-likelihood (for regression minus the
        mean squared error) or a ``metric``; or a ``SupervisedScorer``, whose test data and scoring are taken. Its
        ``default`` is not needed: the utility of no data is that of having unlearned everything.
    unlearner, seed, n_jobs, store
        As in ``UnlearningGame``; settings come with an instance of an unlearner.
    problem
        Other arguments of ``ValuationProblem``: ``loss``, ``metric``, ``fit``, ``reference``, ...

    Attributes
    ----------
    game
        The ``UnlearningGame`` of the data set that ``with_dataset`` was given.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the test data are none of these, a metric comes beside a scorer, or groups are given, which a
        ``GroupedDataset`` has.

    Examples
    --------
    >>> from pydvl.valuation import GroupedDataset
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> utility = UnlearningUtility(LogisticRegression(max_iter=1000), Dataset(x[1::2], y[1::2]), "newton")
    >>> data = GroupedDataset(x[::2], y[::2], [0, 1, 2] * 25, group_names=["acme", "bolt", "cairn"])
    >>> utility = utility.with_dataset(data)
    >>> utility.game.players, utility.players_of(np.array([2, 0]))
    (['acme', 'bolt', 'cairn'], array([2, 0]))
    >>> everybody, two = utility(Sample(None, data.indices)), utility(Sample(None, np.array([2, 0])))
    >>> everybody > two > utility(None)
    True
    """

    def __init__(
        self,
        model: Any,
        test: Dataset | SupervisedScorer,
        unlearner: str | Unlearner = "auto",
        *,
        seed: int = 0,
        n_jobs: int | None = None,
        store: str | os.PathLike[str] | None = None,
        **problem: Any,
    ) -> None:
        for name in {"groups", "valued"} & problem.keys():
            raise InvalidTypeError(f"{name} was given, but pyDVL has groups in its data: pass a GroupedDataset to fit.")
        if isinstance(test, SupervisedScorer):
            if "metric" in problem:
                raise InvalidTypeError(
                    "metric was given beside a scorer, which has one: leave it out, or pass test data."
                )
            problem["metric"], test = _metric(test), test.test_data
        self.model, self.unlearner = model, unlearner
        self._test = rows_of(test, "test")
        self.seed, self.n_jobs, self.store = seed, n_jobs, store
        self._problem = problem
        self._game: UnlearningGame | None = None
        self._mark = self._digest = ""
        self._numbers: dict[int, int] = {}

    def with_dataset(self, data: Dataset, copy: bool = True) -> Self:
        """Return the utility of subsets of these ``data``, which keeps its game if it was of the same data before.

        It is a ``copy``, unless that is not wanted.

        Raises
        ------
        UnshapError
            If the data are no data set of pyDVL, or no game can be made of them.
        """
        rows = rows_of(data, "data")
        utility: Self = super().with_dataset(data, copy)
        found = digest((rows.x, rows.y, rows.groups))
        if utility._game is None or utility._digest != found:
            utility._game, utility._digest, utility._mark = self._made(rows), found, uuid.uuid4().hex
        number = {player: number for number, player in enumerate(utility._game.players)}
        called = data.indices.tolist() if rows.groups is None else map(str, data.names)
        utility._numbers = {int(index): number[name] for index, name in zip(data.indices, called, strict=True)}
        return utility

    def _made(self, rows: Rows) -> UnlearningGame:
        model = self.model
        if not isinstance(model, nn.Module) and hasattr(model, "fit"):
            model = clone(model, safe=False)
            with seeded(self.seed):
                model.fit(rows.x, rows.y)
        train, test = (rows.x, rows.y), (self._test.x, self._test.y)
        problem = ValuationProblem(model, train, test, groups=rows.groups, **self._problem)
        if problem.given_utility.ndim:
            raise InvalidValueError(
                f"metric {problem.metric.name!r} measures {len(problem.given_utility)} things, but a utility of "
                f"pyDVL's is one number: give one metric."
            )
        return UnlearningGame(problem, self.unlearner, seed=self.seed, n_jobs=self.n_jobs, store=self.store)

    @property
    def game(self) -> UnlearningGame:
        """The game of the data.

        Raises
        ------
        InvalidValueError
            If there are no data yet.
        """
        if self._game is None:
            raise InvalidValueError("the utility has no data yet: call with_dataset, or fit a valuation with it.")
        return self._game

    def players_of(self, indices: Any) -> Any:
        """Return the numbers in the game of players by pyDVL's ``indices``, ``[m]`` each.

        Raises
        ------
        InvalidValueError
            If there is no such index.
        """
        try:
            return np.array([self._numbers[int(index)] for index in indices], dtype=np.intp)
        except KeyError as error:
            raise InvalidValueError(f"the data have no index {error}: use those of with_dataset's data.") from error

    def __call__(self, sample: Sample | None) -> float:
        """Return the utility of keeping the subset of a ``sample``; of ``None``, that of keeping nothing.

        Raises
        ------
        UnshapError
            If there are no data yet, the subset is not of these, or unlearning fails.
        """
        kept = np.zeros((1, self.game.n_players), dtype=bool)
        if sample is not None:
            kept[0, self.players_of(sample.subset)] = True
        try:
            return float(self.game(kept)[0])
        except DivergenceError as error:  # pyDVL has no policy of its own for these
            raise error.advising(tuple(way for way in error.advice if way != EXCLUDING)) from error

    def __str__(self) -> str:
        name = self.unlearner if isinstance(self.unlearner, str) else self.unlearner.name
        return f"{type(self).__name__}({name})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._game is not None:
            self._game = _last.get(self._mark, self._game)
            _last.clear()
            _last[self._mark] = self._game


class _Scoring:
    """What a scorer of pyDVL's scores with, called as scorers of scikit-learn are."""

    def __init__(self, scorer: SupervisedScorer) -> None:
        self.scoring, self.__name__ = scorer._scorer, scorer.name

    def __call__(self, estimator: Any, x: Any, y: Any) -> float:
        return float(self.scoring(estimator, x, y))


def _metric(scorer: SupervisedScorer) -> str | _Scoring:
    """Return the metric of a scorer: by its name where that is scikit-learn's, since it may then be one of ours."""
    named = scorer.name in get_scorer_names() and repr(get_scorer(scorer.name)) == repr(scorer._scorer)
    return str(scorer.name) if named else _Scoring(scorer)
