"""OpenDataVal's interface: what is returned, what is left alone, and what is fresh."""

from __future__ import annotations

from dataclasses import replace

from unshap_conformance.checks import Check
from unshap_conformance.evaluators import calls, comparisons, freshness, models_used
from unshap_conformance.evaluators.stages import Stage, real_stage, stage_of
from unshap_conformance.evaluators.subject import GAME, EvaluatorSubject, no_game, stages_of
from unshap_conformance.games import by_name, from_function

__all__ = ["INTERFACE"]

(_SMALLER,) = by_name("random_5_2")
# Large values without variance, even of a sampler: little of them shows among others.
_FAR = from_function("far", GAME.n_players, lambda players: sum(1000 * (player + 1) for player in players))


def _changes(subject: EvaluatorSubject) -> list[freshness.Change]:
    if subject.no_game:
        first, second, smaller = real_stage(), real_stage(seed=1), real_stage(5)
    else:
        first, second, smaller = map(stage_of, (_FAR, GAME, _SMALLER))
    return [freshness.Change(first, _with_another_metric(second)), freshness.Change(first, smaller)]


def _with_another_metric(stage: Stage) -> Stage:
    return replace(stage, name=f"3 * {stage.name}", metric=lambda y, y_hat: 3 * stage.metric(y, y_hat))


def _no_model(subject: EvaluatorSubject) -> str | None:
    return None if subject.uses_model else "it uses no prediction model."


def _no_seed(subject: EvaluatorSubject) -> str | None:
    return None if subject.seedable else "it takes no random_state."


def _no_repeat(subject: EvaluatorSubject) -> str | None:
    repeats = subject.exact or subject.seedable
    return None if repeats else "it samples and takes no random_state, so that no values come twice."


_PLACES = [models_used.Place("fit"), models_used.Place("predict"), models_used.Place("metric")]

#: Checks of what OpenDataVal's experiments, and the people who compare evaluators, take for granted.
INTERFACE: tuple[Check[EvaluatorSubject], ...] = (
    Check("form", "evaluate_data_values() gives a numpy array (n,) of finite real floats", calls.form, stages_of),
    Check(
        "returns_self",
        "train, input_data, input_model_metric and train_data_values return the evaluator",
        calls.returns_self,
        stages_of,
    ),
    Check("inputs_untouched", "tensors and fetcher are the same after training", calls.inputs_untouched, stages_of),
    Check(
        "model_untouched",
        "the model given is the same after training",
        calls.model_untouched,
        stages_of,
        unless=_no_model,
    ),
    Check("fresh_values", "a second train gives the values of the second data", freshness.fresh_values, _changes),
    Check(
        "fresh_instances",
        "a new evaluator gives values of its own data",
        freshness.fresh_instances,
        lambda subject: _changes(subject)[:1],
        unless=_no_repeat,
    ),
    Check("repeated_reading", "values do not change by being read", freshness.repeated_reading, stages_of),
    Check("distinct_reprs", "different arguments give different reprs", comparisons.distinct_reprs),
    Check("registered_name", "the name in OpenDataVal's registry is its own", comparisons.registered_name),
    Check(
        "random_state",
        "random_state (an int or a RandomState), and nothing else random, decides the values",
        freshness.random_state,
        lambda subject: stages_of(subject)[:1],
        unless=_no_seed,
    ),
    Check("global_rng", "the generators of torch, numpy and random are not moved", calls.global_rng, stages_of),
    Check(
        "model_errors", "an error of the model is raised", models_used.model_errors, lambda _: _PLACES, unless=_no_model
    ),
    Check(
        "fresh_models",
        "every fit starts from the model given",
        models_used.fresh_models,
        lambda subject: stages_of(subject)[:1],
        unless=no_game,
    ),
    Check(
        "training_keywords",
        "every fit gets the keywords of train",
        models_used.training_keywords,
        stages_of,
        unless=_no_model,
    ),
    Check("experiments", "OpenDataVal's experiments run on it", comparisons.experiments),
)
