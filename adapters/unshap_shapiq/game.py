"""``UnlearningShapiqGame``: the utility of keeping data, as a game of shapiq's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapiq import Game

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.evaluation.evaluation import EXCLUDING

__all__ = ["UnlearningShapiqGame"]


class UnlearningShapiqGame(Game):  # type: ignore[misc]
    """The utility of keeping a coalition's data, by unlearning the rest, as a ``shapiq.Game``.

    All coalitions that shapiq asks for at a time are unlearned at a time, and none is unlearned twice, whoever asks:
    approximators, indices and budgets share what the ``UnlearningGame`` remembers, or its store.

    Parameters
    ----------
    game
        An ``UnlearningGame``, or a ``ValuationProblem`` to make one of.
    part
        Which part of a metric that measures several things is the utility; games of the parts share one game.
    normalize
        Whether the utility of nobody is subtracted from all, as shapiq's approximators expect. Costs one evaluation.
    verbose
        Whether shapiq shows a progress bar. It then asks for one coalition at a time, of which all are known before.
    settings
        Arguments of ``UnlearningGame`` for a problem: ``unlearner``, ``seed``, ``n_jobs``, ``store``, settings of the
        unlearner.

    Attributes
    ----------
    game
        The ``UnlearningGame``.
    players
        The players, in the order of shapiq's numbers. Their names as text are shapiq's ``player_name_lookup``.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If there is no such part, a part has to be said, the game excludes coalitions, or settings come with a game.
    UnshapError
        If no ``UnlearningGame`` can be made of the problem, or unlearning a coalition fails.

    Examples
    --------
    >>> from shapiq import KernelSHAP
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> groups = ["acme", "bolt", "cairn"] * 25
    >>> problem = ValuationProblem(model, train=(x[::2], y[::2]), test=(x[1::2], y[1::2]), groups=groups)
    >>> game = UnlearningShapiqGame(problem, unlearner="newton")
    >>> game.n_players, game.players, game([("acme", "bolt")]).shape, game.value_function(np.eye(3) > 0).shape
    (3, ['acme', 'bolt', 'cairn'], (1,), (3,))
    >>> values = KernelSHAP(n=3).approximate(8, game)
    >>> bool(np.isclose(sum(values[(player,)] for player in range(3)), game([(0, 1, 2)])[0]))
    True
    """

    def __init__(
        self,
        game: UnlearningGame | ValuationProblem,
        *,
        part: str | None = None,
        normalize: bool = True,
        verbose: bool = False,
        **settings: Any,
    ) -> None:
        if isinstance(game, ValuationProblem):
            game = UnlearningGame(game, **settings)
        elif not isinstance(game, UnlearningGame):
            raise InvalidTypeError(
                f"game is a {type(game).__name__}, but an UnlearningGame or a ValuationProblem is needed."
            )
        elif settings:
            raise InvalidTypeError(
                f"{', '.join(settings)} came with an UnlearningGame, which has its settings: give these to that one."
            )
        if game.on_error == "exclude":
            raise InvalidValueError(
                "the game excludes coalitions, whose utility shapiq would take for a number: make it with "
                "on_error='raise'."
            )
        self.game, self.players = game, game.players
        self._column = _column(game.problem, part)
        nobody = float(self.value_function(np.zeros((1, game.n_players), dtype=bool))[0]) if normalize else 0.0
        names = [str(player) for player in self.players]
        super().__init__(
            game.n_players, normalize=normalize, normalization_value=nobody, player_names=names, verbose=verbose
        )

    def __call__(self, coalitions: Any, *, verbose: bool = False) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` of ``coalitions``: ``[m, n_players]``, or tuples of players by number or name.

        With ``verbose``, a bar shows how they are passed on.

        Raises
        ------
        UnshapError
            If unlearning a coalition fails.
        """
        if (verbose or self.verbose) and not self.precomputed:
            self.value_function(self._check_coalitions(coalitions))
        found: NDArray[np.float64] = super().__call__(coalitions, verbose=verbose)
        return found

    def value_function(self, coalitions: NDArray[Any]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` of ``coalitions``, ``[m, n_players]``, not normalised: an array of their own.

        Raises
        ------
        UnshapError
            If unlearning a coalition fails.
        """
        try:
            utilities = self.game(np.asarray(coalitions).astype(bool))
        except DivergenceError as error:  # no other policy can be had here
            raise error.advising(tuple(way for way in error.advice if way != EXCLUDING)) from error
        return np.array(utilities if self._column is None else utilities[:, self._column])


def _column(problem: ValuationProblem, part: str | None) -> int | None:
    """Return the column of the utilities that is meant; ``None`` where they are numbers."""
    metric, several = problem.metric, problem.given_utility.ndim > 0
    if not several and part is None:
        return None
    if several and part is None:
        named = f": {', '.join(metric.parts)}" if metric.parts else ", which have no names"
        raise InvalidValueError(
            f"metric {metric.name!r} measures {len(problem.given_utility)} things, but a game of shapiq's has one "
            f"utility{named}: name one as part, or make the problem with one metric."
        )
    if part not in metric.parts:
        raise UnknownNameError("part of the metric,", part, metric.parts)
    return metric.parts.index(str(part))
