"""An OpenDataVal evaluator as a subject: what it promises, and how it is played."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendataval.dataval import DataEvaluator, ModelMixin

from unshap_conformance.evaluators.played import Stage, Watch, stage_of
from unshap_conformance.games import Game
from unshap_conformance.loading import load
from unshap_conformance.records import Violation
from unshap_conformance.runner import Check
from unshap_conformance.semivalues import Semivalue, check_semivalue
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.model.generators import seeded

__all__ = ["EvaluatorSubject", "Values", "evaluator_subject", "no_game", "silence", "trained", "values_of"]

#: Seeds of one that samples. Each is a whole training; the mean of so many is normal enough for the axioms' tolerance.
_RUNS = 30


@dataclass(frozen=True)
class Values:
    """The values of a game, float64 ``[n]``."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class EvaluatorSubject:
    """An evaluator, with what it declares. Made by ``evaluator_subject``, where the traits are described."""

    name: str
    evaluator: Callable[..., DataEvaluator]
    kwargs: Mapping[str, Any]
    semivalue: Semivalue | None
    efficient: bool
    exact: bool
    seedable: bool
    variants: tuple[Mapping[str, Any], ...]
    no_game: str

    @property
    def checks(self) -> Sequence[Check[EvaluatorSubject]]:
        """All checks of evaluators."""
        from unshap_conformance.evaluators import EVALUATOR_CHECKS  # which need this class

        return EVALUATOR_CHECKS

    @property
    def seeds(self) -> range:
        """The seeds of the runs that are compared in the mean; one for an exact evaluator."""
        return range(1 if self.exact else _RUNS)

    @property
    def uses_model(self) -> bool:
        """Whether it takes a prediction model."""
        return isinstance(self.fresh(), ModelMixin)

    def fresh(self, seed: int = 0, **kwargs: Any) -> DataEvaluator:
        """Return a new evaluator.

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
        """Play a game with a fresh evaluator."""
        return Values(self.values_on(stage_of(game), seed))

    def values_on(self, stage: Stage, seed: int = 0) -> NDArray[np.float64]:
        """Return the values of a fresh evaluator, trained on a stage, ``[n]``.

        Whatever it draws from the global generators comes from the seed, and these are left as they were.
        """
        with seeded(seed):
            return values_of(trained(self.fresh(seed), stage), stage)


def evaluator_subject(
    evaluator: str | Callable[..., DataEvaluator] | EvaluatorSubject,
    *,
    name: str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    semivalue: Semivalue | None = "shapley",
    efficient: bool | None = None,
    exact: bool | None = None,
    seedable: bool | None = None,
    variants: Sequence[Mapping[str, Any]] = (),
    no_game: str = "",
) -> EvaluatorSubject:
    """Return an OpenDataVal evaluator with its declared traits, which choose the checks.

    Parameters
    ----------
    evaluator
        Its class, a function that returns a new one, or ``"package.module:Class"``. A subject stays as it is. A class
        may declare the traits below itself, as a dict in its attribute ``conformance``, which count if none are given.
    name
        What it is called in records; by default its own name.
    kwargs
        Keywords of its constructor. With these its utility has to be the metric that it is handed, and it has to take
        a model without parameters.
    semivalue
        ``"shapley"`` (the default), ``"banzhaf"``, ``"leave_one_out"``, ``("beta", alpha, beta)``, or ``None`` if its
        values are none of these.
    efficient
        Its values sum to ``v(N) - v(none)`` in every run. By default, if they are Shapley values.
    exact
        Its values are those of the definition, up to round-off. By default, if it takes no ``random_state``. Another
        one is played with 30 seeds.
    seedable
        Its constructor takes a ``random_state``. By default, if it names that parameter.
    variants
        Further keywords, each of which makes an evaluator with a repr of its own.
    no_game
        Why no game can be played: what its values are of, if not of the metric of the model. Empty if one can.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If it cannot be called or found, or a trait has a value that cannot be.
    """
    if isinstance(evaluator, str):
        evaluator = load(evaluator)
    if isinstance(evaluator, EvaluatorSubject):
        traits = (name, kwargs, efficient, exact, seedable)
        if any(trait is not None for trait in traits) or variants or no_game or semivalue != "shapley":
            raise InvalidValueError(f"the traits of {evaluator.name!r} are declared where that subject is made.")
        return evaluator
    declared = getattr(evaluator, "conformance", None)
    given = (name, kwargs, efficient, exact, seedable, *variants, no_game or None)
    if declared is not None and semivalue == "shapley" and all(trait is None for trait in given):
        return evaluator_subject(evaluator, **{"name": getattr(evaluator, "__name__", None), **declared})
    if not callable(evaluator):
        raise InvalidTypeError(
            f"evaluator is a {type(evaluator).__name__}, but its class, or a function that returns a new one, is "
            f"needed: every play takes a fresh one."
        )
    if kwargs and "random_state" in kwargs:
        raise InvalidValueError("kwargs has random_state, which the checks choose: leave it out.")
    if semivalue is not None:
        check_semivalue(semivalue)
    seedable = _names_random_state(evaluator) if seedable is None else seedable
    return EvaluatorSubject(
        name=name or str(getattr(evaluator, "__name__", evaluator)),
        evaluator=evaluator,
        kwargs=dict(kwargs or {}),
        semivalue=semivalue,
        efficient=semivalue == "shapley" if efficient is None else efficient,
        exact=not seedable if exact is None else exact,
        seedable=seedable,
        variants=tuple(variants),
        no_game=no_game,
    )


def no_game(subject: EvaluatorSubject) -> str | None:
    """Return why a subject is not checked on games, or ``None``."""
    return f"it plays no game: {subject.no_game}" if subject.no_game else None


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


def _names_random_state(evaluator: Callable[..., DataEvaluator]) -> bool:
    # OpenDataVal's classes have a __new__ that takes anything, which hides the parameters.
    called: Any = evaluator.__init__ if inspect.isclass(evaluator) else evaluator  # type: ignore[misc]
    return "random_state" in inspect.signature(called).parameters
