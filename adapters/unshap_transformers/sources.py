"""What each source of a language model's, or a text classifier's, training text was worth to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from unshap_plugin import UnlearningGame, ValuationResult, shapley_values
from unshap_plugin.corrected import check_corrected, corrected_values
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.support.progress import Progress, check_progress
from unshap_plugin.unlearners import NPO, FineTune
from unshap_plugin.unlearners.base import Unlearner
from unshap_transformers.problems import source_problem

__all__ = ["source_game", "value_sources"]

#: Rows of a step, and steps: what measured best (``benchmarks/language_models.py``).
_BATCH, _STEPS, _STEPS_OF_ASCENT = 16, 6, 4
#: The rate of an ascent is lower by this than that of training.
_SLOWER = 10
#: Where the rate of training is not known: this is the root mean square of what LoRA's second matrices learned over it.
_LEARNED = 6


def value_sources(
    model: nn.Module,
    *,
    unlearner: str | Unlearner = "auto",
    estimator: str = "auto",
    budget: int | None = None,
    retrainings: int | Literal["auto"] | None = None,
    target_error: float | str | None = None,
    max_time: float | None = None,
    store: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Callable[[Progress], object] | None = None,
    **data: Any,
) -> ValuationResult:
    """Return what each source of a language model's, or a text classifier's, training text was worth to it.

    Parameters
    ----------
    model
        The fine-tuned model; see ``source_problem``.
    unlearner
        The name of an unlearner, or one; ``"auto"``: see ``source_game``.
    estimator, budget, target_error, max_time, progress
        See ``shapley_values``.
    retrainings
        Train anew on so many coalitions, as ``args`` say, and return the values of that: see ``corrected_values``.
    store
        A file of utilities, which are not evaluated again.
    seed
        Seed of the unlearner and of the estimator.
    data
        The other arguments of ``source_problem``: ``processing_class``, ``train_dataset``, ``source_column``,
        ``label_column``, ``eval_dataset``, ``reference_dataset``, ``access``, ``args``, ``initial_adapter``,
        ``metric``, ...

    Raises
    ------
    UnshapError
        If anything cannot be used, before any work; or if unlearning a coalition fails.

    Examples
    --------
    >>> from unshap_transformers.example import stdlib  # doctest: +SKIP
    >>> example = stdlib(rows=10, base_rows=400)  # doctest: +SKIP
    >>> value_sources(example.model, **example.data()).to_series().idxmin()  # doctest: +SKIP
    'scrambled'
    """
    check_corrected(retrainings, estimator)
    check_progress(progress)
    game = source_game(source_problem(model, **data), unlearner, seed=seed, store=store)
    rules: dict[str, Any] = {"target_error": target_error, "max_time": max_time}
    if retrainings is not None:
        return corrected_values(game, retrainings, seed, budget=budget, progress=progress, **rules)
    return shapley_values(game, estimator, budget, seed, progress=progress, **rules)


def source_game(problem: ModuleProblem, unlearner: str | Unlearner = "auto", **settings: Any) -> UnlearningGame:
    """Return the game of a problem of sources, with the unlearner that measured best on language models.

    Parameters
    ----------
    problem
        What ``source_problem`` returned.
    unlearner
        The name of an unlearner, or one. ``"auto"``, by what ``docs/language_models.md`` shows: six steps of
        ``finetune`` on 16 rows each, at the learning rate of the training where that is known; with partial access four
        steps of ``npo`` at a tenth of it.
    settings
        Other arguments of ``UnlearningGame``.

    Raises
    ------
    UnshapError
        If the unlearner cannot be used.

    Examples
    --------
    >>> from unshap_transformers.example import stdlib  # doctest: +SKIP
    >>> example = stdlib(rows=10, base_rows=400)  # doctest: +SKIP
    >>> problem = source_problem(example.model, **example.data())  # doctest: +SKIP
    >>> source_game(problem).unlearner.name  # doctest: +SKIP
    'finetune'
    """
    if unlearner != "auto":
        return UnlearningGame(problem, unlearner, **settings)
    chosen, why = _chosen(problem)
    game = UnlearningGame(problem, chosen, **settings)
    game.reason = why
    return game


def _chosen(problem: ModuleProblem) -> tuple[Unlearner, str]:
    rate, known = _rate(problem)
    if Access.RETAIN not in problem.available:
        why = f"no retained rows are at hand, and a few steps at a tenth of {known}, {rate:.2g}, agreed best"
        return NPO(steps=_STEPS_OF_ASCENT, lr=rate / _SLOWER, batch_size=_BATCH), why
    why = f"a few steps on retained rows at {known}, {rate:.2g}, agreed with retraining"
    return FineTune(steps=_STEPS, lr=rate, batch_size=_BATCH), why


def _rate(problem: ModuleProblem) -> tuple[float, str]:
    """Return the learning rate of the training, and how it is known."""
    if problem.recipe is not None:
        return problem.recipe.lr, "the learning rate of args"
    learned = [p.flatten() for name, p in problem.engine.theta0.items() if ".lora_B." in name]
    if not learned:
        raise InvalidValueError(
            "the model is no PeftModel with LoRA, and nothing says how it was trained: give args and initial_adapter, "
            "or name an unlearner with its steps and its lr."
        )
    size = float(torch.cat(learned).square().mean().sqrt())
    return size / _LEARNED, "a learning rate that goes by the size of what was learned"
