"""What an evaluator is trained on: a game played through OpenDataVal's own interface, or a little real data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval.dataloader import DataFetcher
from opendataval.model import LogisticRegression, Model
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from torch import Tensor
from torch.nn import functional as F

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.generators import seeded

__all__ = [
    "ERRORS",
    "Fault",
    "FaultError",
    "Playable",
    "PlayedModel",
    "Stage",
    "Watch",
    "noisy_data",
    "real_stage",
    "stage_of",
]

# The covariates of the two validation rows that a utility is read from; players are 0, 1, ...
HIGH, LOW = -1.0, -2.0


class Playable(Protocol):
    """A game, as far as it takes to play it."""

    @property
    def name(self) -> str:
        """What it is called in records."""
        ...

    @property
    def n_players(self) -> int:
        """How many players it has."""
        ...

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` of coalitions ``[m, n_players]``."""
        ...


class FaultError(Exception):
    """What a model raises that was told to fail."""


# What models raise; scikit-learn a ValueError where a coalition has only one class. None is derived from another one,
# so that one class can be derived from all.
_CAUGHT: tuple[type[Exception], ...] = (
    NotFittedError,  # a ValueError and an AttributeError
    np.linalg.LinAlgError,
    torch.cuda.OutOfMemoryError,
    NotImplementedError,
    FloatingPointError,
    ZeroDivisionError,
    MemoryError,
    IndexError,
    KeyError,
    TypeError,
    AssertionError,
)
#: Ways to fail. The first is of many types at once: whatever catches one of these catches it.
ERRORS: tuple[type[FaultError], ...] = (
    type("FaultOfManyTypes", (FaultError, *_CAUGHT), {}),
    *(
        type(f"Fault{error.__name__}", (FaultError, error), {})
        for error in (ValueError, RuntimeError, ArithmeticError, LookupError, MemoryError, TypeError, OSError)
    ),
)


@dataclass(frozen=True)
class Fault:
    """Where a model is to fail, and for how many training rows; or the metric, which does not know them.

    Two faults in the same place are equal, whatever they raise.
    """

    where: Literal["fit", "predict", "metric"]
    rows: int | None
    error: type[FaultError] = field(default=ERRORS[0], compare=False)

    def __str__(self) -> str:
        """As in ``fit on 2 rows``."""
        if self.where == "metric":
            return "second call of the metric"
        return f"fit on {self.rows} rows" if self.where == "fit" else f"prediction of a model of {self.rows} rows"


class Watch:
    """What happens to a model and to all its copies: what they are fitted with, how often again, how often they fail.

    Parameters
    ----------
    fault
        How they are to fail, if they are.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.failures = self.scores = self.refits = 0
        self.keywords: list[dict[str, Any]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        """Return itself: the copies of a model are watched together."""
        return self

    def meet(self, fault: Fault) -> None:
        """Raise if this is how the model is to fail."""
        if self.fault is not None and self.fault == fault:
            self.failures += 1
            raise self.fault.error(f"told to fail in the {fault}")

    def second_score(self, score: float) -> float:
        """Return a score the first time, and raise from then on if the metric is to fail."""
        self.scores += 1
        if self.scores > 1:
            self.meet(Fault("metric", None))
        return score


class PlayedModel(Model):  # type: ignore[misc]
    """A model that is a game: fitted on the rows of some players, its predictions hold the utility of these.

    Row ``i`` of the training data is player ``i`` by its covariate and by its label, so that rows can come in any
    order, and a fit sees when covariates and labels were parted. Two validation rows hold ``v(S) - v(none)`` as a
    float32 and the float32 of what that leaves: 48 bits, although OpenDataVal's data are float32. Not fitted, or
    fitted on no rows, it predicts zeros, which is what an evaluator that answers for the empty coalition without
    asking the model would take.

    Parameters
    ----------
    game
        What is played.
    watch
        Sees what happens to it.
    """

    def __init__(self, game: Playable, watch: Watch) -> None:
        self.game, self.watch = game, watch
        self.kept = np.zeros(game.n_players, dtype=bool)
        self.fitted = False

    def __deepcopy__(self, memo: dict[int, Any]) -> PlayedModel:
        """Copy what is fitted; the game itself does not change."""
        twin = PlayedModel(self.game, self.watch)
        twin.kept, twin.fitted = self.kept.copy(), self.fitted
        return twin

    def fit(self, x_train: Any, y_train: Any, sample_weight: Tensor | None = None, **kwargs: Any) -> PlayedModel:
        """Take the players whose rows these are.

        Raises
        ------
        InvalidValueError
            If the rows are not those of a coalition: labels of other players, a player twice, a weight that is not
            0 or 1.
        """
        self.watch.keywords.append(kwargs)
        self.watch.refits += self.fitted
        self.fitted = True
        players, labels = (_flat(rows).round().astype(np.int64) for rows in (x_train, y_train))
        if not np.array_equal(players, labels):
            raise InvalidValueError(
                f"fit got the rows of players {players.tolist()} with the labels of players {labels.tolist()}: pass "
                f"covariates and labels of the same rows."
            )
        if (players < 0).any():
            raise InvalidValueError("fit got validation rows, but a model is trained on training rows alone.")
        if sample_weight is not None:
            weights = torch.as_tensor(sample_weight).flatten().numpy()
            if not np.isin(weights, (0, 1)).all():
                raise InvalidValueError(
                    f"fit got the weights {weights.tolist()[:8]}, but a player is in a coalition or not: pass 0 or 1."
                )
            players = players[weights == 1]
        if len(set(players.tolist())) < len(players):
            raise InvalidValueError(
                f"fit got the rows of players {players.tolist()}, but a coalition is a set: pass each row once."
            )
        self.kept = np.zeros(self.game.n_players, dtype=bool)
        self.kept[players] = True
        self.watch.meet(Fault("fit", len(players)))
        return self

    def predict(self, x: Any) -> Tensor:
        """Return the utility in the two validation rows, and 0 in the rows of players, ``[rows, 1]``."""
        self.watch.meet(Fault("predict", int(self.kept.sum())))
        codes = _flat(x)
        v, nothing = self.game(np.stack([self.kept, np.zeros_like(self.kept)]))
        high = np.float32(v - nothing)
        low = np.float32(v - nothing - float(high))
        return torch.from_numpy(high * (codes == HIGH) + 4 * low * (codes == LOW))[:, None]


class _QuietRegression(LogisticRegression):  # type: ignore[misc]
    """OpenDataVal's logistic regression, trained on all rows at once: whoever draws random numbers, it does not."""

    def __init__(self, watch: Watch) -> None:
        with seeded(0):
            super().__init__(2, 2)
        self.watch, self.seen = watch, 0

    def fit(
        self,
        x_train: Any,
        y_train: Any,
        sample_weight: Tensor | None = None,
        batch_size: int = 32,
        epochs: int = 1,
        lr: float = 0.01,
    ) -> _QuietRegression:
        self.watch.keywords.append({"batch_size": batch_size, "epochs": epochs, "lr": lr})
        x, y = _rows(x_train), _rows(y_train)
        self.seen = len(x)
        self.watch.meet(Fault("fit", self.seen))
        weight = torch.ones(len(x), 1) if sample_weight is None else sample_weight.reshape(-1, 1)
        optimizer = torch.optim.Adam(self.parameters(), lr=lr)
        for _ in range(epochs if len(x) else 0):
            optimizer.zero_grad()
            (weight * F.binary_cross_entropy(self(x), y, reduction="none")).mean().backward()
            optimizer.step()
        return self

    def predict(self, x: Any) -> Tensor:
        self.watch.meet(Fault("predict", self.seen))
        with torch.no_grad():
            outputs: Tensor = self(_rows(x))
        return outputs


@dataclass(frozen=True)
class Stage:
    """What an evaluator is trained on.

    Parameters
    ----------
    name
        Of the game or of the data.
    data
        ``(x_train, y_train, x_valid, y_valid)``, float32.
    model
        Makes the model, unfitted, given what watches it.
    metric
        ``(y, y_hat) -> float``, as OpenDataVal calls it.
    one_hot
        Whether the labels are classes.
    keywords
        What the model is fitted with.
    """

    name: str
    data: tuple[Tensor, Tensor, Tensor, Tensor]
    model: Callable[[Watch], Model]
    metric: Callable[[Tensor, Tensor], float]
    one_hot: bool
    keywords: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 3, "lr": 0.25})

    @property
    def n_players(self) -> int:
        """Number of training rows."""
        return len(self.data[0])

    def fetcher(self) -> DataFetcher:
        """Return the data in OpenDataVal's form, with test rows of zeros: values have to come from the others.

        The rows are split from a shuffled table, so that a row's number in it says nothing about its place in training.
        """
        x, y, x_valid, y_valid = (part.numpy() for part in self.data)
        given = (np.concatenate([x, x_valid, 0 * x_valid]), np.concatenate([y, y_valid, 0 * y_valid]))
        order = np.random.default_rng(0).permutation(len(given[0]))
        parts = np.split(order, [len(x), len(x) + len(x_valid)])
        shuffled = (part[order.argsort()] for part in given)
        fetcher = DataFetcher.from_data(*shuffled, one_hot=self.one_hot, random_state=0)
        return fetcher.split_dataset_by_indices(*parts)


def stage_of(game: Playable, order: Sequence[int] | None = None) -> Stage:
    """Return a game as an experiment.

    Parameters
    ----------
    game
        What is played.
    order
        The player of every training row; by default row ``i`` is player ``i``.
    """
    players = torch.arange(game.n_players) if order is None else torch.as_tensor(order)
    rows = players.to(torch.float32)[:, None]
    nothing = float(game(np.zeros((1, game.n_players), dtype=bool))[0])

    def metric(y: Tensor, y_hat: Tensor) -> float:
        # Each row has a label of its own: changing places, or the arguments, changes the utility.
        return nothing + float((y_hat.double() * y.double().square()).sum())

    return Stage(
        name=game.name,
        data=(rows, rows.clone(), torch.tensor([[HIGH], [LOW]]), torch.tensor([[1.0], [0.5]])),
        model=lambda watch: PlayedModel(game, watch),
        metric=metric,
        one_hot=False,
    )


def real_stage(rows: int = 6, *, seed: int = 0) -> Stage:
    """Return a few standardised rows of breast_cancer with two covariates, and a logistic regression."""
    (x, y), valid, _ = noisy_data(rows, seed=seed)
    return Stage(
        name="breast_cancer" if seed == 0 else f"breast_cancer, seed {seed}",
        data=(x[:, :2], y, valid[0][:, :2], valid[1]),
        model=_QuietRegression,
        metric=_log_likelihood,
        one_hot=True,
    )


def noisy_data(rows: int, *, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], NDArray[np.int64]]:
    """Return training rows of which every fifth has a wrong label, 40 clean validation rows, and the wrong rows."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[: rows + 40]
    x, y = x[order], y[order]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    wrong = np.arange(0, rows, 5)
    y[wrong] = 1 - y[wrong]
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.eye(2)[torch.as_tensor(y)]
    return (x[:rows], y[:rows]), (x[rows:], y[rows:]), wrong


def _log_likelihood(y: Tensor, y_hat: Tensor) -> float:
    """Return what is not the same with its arguments exchanged."""
    return float((y * y_hat.clamp_min(1e-3).log()).sum(dim=1).mean())


def _rows(data: Any) -> Tensor:
    """Return what OpenDataVal passes on as rows (a tensor, or a ``Subset`` of one) as a tensor."""
    if isinstance(data, Tensor):
        return data
    return torch.stack([data[index] for index in range(len(data))]) if len(data) else torch.zeros(0, 1)


def _flat(data: Any) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = _rows(data).flatten().numpy()
    return flat
