"""An OpenDataVal evaluator as a subject: what it promises, and how it is played."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendataval.dataval import DataEvaluator, ModelMixin

from unshap_conformance.checks import Subject, Violation
from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.stages import Stage, real_stage, stage_of
from unshap_conformance.games import Game, by_name
from unshap_conformance.semivalues import Semivalue
from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.model.generators import seeded

__all__ = ["GAME", "EvaluatorSubject", "Values", "no_game", "silence", "stages_of", "trained", "values_of"]

#: The game that is played where one is enough: every player has a value of its own.
(GAME,) = by_name("random_6_3")

#: Number of seeds for an evaluator that samples. Each is a whole training; the mean of so many is normal enough for the
#: tolerance of the axioms.
_RUNS = 30


@dataclass(frozen=True)
class Values:
    """The values of a game, float64 ``[n]``."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class EvaluatorSubject(Subject):
    """An evaluator, with what it declares; ``evaluator_subject`` makes it, and describes traits and errors.

    Parameters
    ----------
    name
        What it is called in results.
    checks
        All checks of evaluators.
    evaluator
        Makes a new one from keywords.
    kwargs
        Keywords that it is always given.
    semivalue, efficient, exact, seedable, variants, no_game
        Its traits.

    Examples
    --------
    >>> from opendataval.dataval import LeaveOneOut
    >>> from unshap_conformance import GAMES, evaluator_subject
    >>> glove = next(game for game in GAMES if game.name == "glove")
    >>> subject = evaluator_subject(LeaveOneOut, semivalue="leave_one_out")
    >>> subject.play(glove).values, subject.values_on(stage_of(glove))
    (array([0., 0., 1.]), array([0., 0., 1.]))
    >>> subject.seeds, subject.uses_model, type(subject.fresh(seed=1)).__name__
    (range(0, 30), True, 'LeaveOneOut')
    """

    kind = "evaluator"
    evaluator: Callable[..., DataEvaluator]
    kwargs: Mapping[str, Any]
    semivalue: Semivalue | None
    efficient: bool
    exact: bool
    seedable: bool
    variants: tuple[Mapping[str, Any], ...]
    no_game: str

    @property
    def seeds(self) -> range:
        """The seeds of the runs that are compared in the mean; one for an exact evaluator."""
        return range(1 if self.exact else _RUNS)

    @property
    def uses_model(self) -> bool:
        """Tell whether it takes a prediction model."""
        return isinstance(self.fresh(), ModelMixin)

    def fresh(self, seed: int = 0, **kwargs: Any) -> DataEvaluator:
        """Return a new evaluator, made with this ``seed`` where it takes one, and with further ``kwargs``.

        Raises
        ------
        InvalidTypeError
            If what is made is no ``DataEvaluator``.
        """
        made = self.evaluator(**{**self.kwargs, **({"random_state": seed} if self.seedable else {}), **kwargs})
        if not isinstance(made, DataEvaluator):
            raise InvalidTypeError(
                f"{self.name} makes a {type(made).__name__}, but an opendataval.dataval.DataEvaluator is needed."
            )
        return made

    def play(self, game: Game, seed: int = 0) -> Values:
        """Play ``game`` with a fresh evaluator of that ``seed``; its values are float64 ``[n]``.

        Raises
        ------
        Violation
            See ``values_on``.
        """
        return Values(self.values_on(stage_of(game), seed))

    def values_on(self, stage: Stage, seed: int = 0) -> NDArray[np.float64]:
        """Return the values of a fresh evaluator, trained on a ``stage``, ``[n]``.

        Whatever it draws from the global generators comes from the ``seed``, and these are left as they were.

        Raises
        ------
        Violation
            If it takes a model and never fits it, or its values are not ``n`` finite numbers.
        """
        with seeded(seed):
            return values_of(trained(self.fresh(seed), stage), stage)


def no_game(subject: EvaluatorSubject) -> str | None:
    """Return why a subject is not checked on games, or ``None``."""
    return f"it plays no game: {subject.no_game}" if subject.no_game else None


def stages_of(subject: EvaluatorSubject) -> list[Stage]:
    """Return a game, where one can be played, and real data with a torch model."""
    return [real_stage()] if subject.no_game else [stage_of(GAME), real_stage()]


def trained(evaluator: DataEvaluator, stage: Stage, watch: Watch | None = None) -> DataEvaluator:
    """Return an evaluator, trained on a stage as OpenDataVal's mediator does it.

    Raises
    ------
    Violation
        If it takes a model and never fits it: what it knows is then not of these data.
    """
    watch = watch or Watch()
    with silence():
        evaluator.train(stage.fetcher(), stage.model(watch), stage.metric, **stage.keywords)
    if isinstance(evaluator, ModelMixin) and not watch.keywords:
        raise Violation("training fitted no model, so that the values cannot be of these data")
    return evaluator


def values_of(evaluator: DataEvaluator, stage: Stage) -> NDArray[np.float64]:
    """Return the values of a trained evaluator, ``[n]``.

    Raises
    ------
    Violation
        If they are not ``n`` finite numbers.
    """
    with silence():
        given = evaluator.evaluate_data_values()
    players = range(stage.n_players)
    try:
        values = np.array(given, dtype=np.float64)  # a copy: the evaluator may write to its own
    except (TypeError, ValueError) as error:
        raise Violation(f"the values are not numbers ({error})", players=players, got=given) from error
    if values.shape != (stage.n_players,):
        raise Violation(
            "the values are not one number per training row (the shapes differ)",
            players=players,
            expected=[stage.n_players],
            got=list(values.shape),
        )
    bad = np.flatnonzero(~np.isfinite(values)).tolist()
    if bad:
        raise Violation("the values are not finite", players=bad, expected="finite numbers", got=values[bad].tolist())
    return values


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep prints and bars of progress away."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
