"""The models that an evaluator is trained with: one that is a game, and a small real one."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval.model import LogisticRegression, Model
from torch import Tensor
from torch.nn import functional as F

from unshap_conformance.evaluators.faults import Fault, Watch
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.generators import seeded

__all__ = ["HIGH", "LOW", "Playable", "PlayedModel", "QuietRegression"]

# The covariates of the two validation rows that a utility is read from; players are 0, 1, ...
HIGH, LOW = -1.0, -2.0


class Playable(Protocol):
    """A game, as far as it takes to play it."""

    @property
    def name(self) -> str:
        """Name that results call it by."""
        ...

    @property
    def n_players(self) -> int:
        """Number of its players."""
        ...

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` of coalitions ``[m, n_players]``."""
        ...


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
        The game that is played.
    watch
        The watch that sees what happens to it.
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


class QuietRegression(LogisticRegression):  # type: ignore[misc]
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
    ) -> QuietRegression:
        """Take some steps of Adam on all rows."""
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
        """Return the probabilities of the classes, ``[rows, 2]``."""
        self.watch.meet(Fault("predict", self.seen))
        with torch.no_grad():
            outputs: Tensor = self(_rows(x))
        return outputs


def _rows(data: Any) -> Tensor:
    """Return what OpenDataVal passes on as rows (a tensor, or a ``Subset`` of one) as a tensor."""
    if isinstance(data, Tensor):
        return data
    return torch.stack([data[index] for index in range(len(data))]) if len(data) else torch.zeros(0, 1)


def _flat(data: Any) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = _rows(data).flatten().numpy()
    return flat
