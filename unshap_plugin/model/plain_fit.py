"""Whether a model is what its own ``fit`` makes of the rows that are given: coalitions are refitted plainly."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.fit_predict import Relabelled, predicted, refit
from unshap_plugin.model.generators import moved, seeded, states
from unshap_plugin.model.rows import Rows, n_rows
from unshap_plugin.model.trained import as_input

__all__ = ["compared_with_plain_fit"]

#: Answers that differ by more than this share of their spread are refused.
REFUSED = 0.05
#: And by more than this are noted. A plain fit of the same numbers differs by 0, one in single precision by
#: up to 0.02.
NOTED = 0.005
#: So many seeds are tried before a fit that draws is said to differ: few of them may choose otherwise (by a search, or
#: between two splits that are equally good).
SEEDS = 8
#: A fit that seeds make different is noted where the given one is so many times as far away as any of them.
BEYOND = 2.0


def compared_with_plain_fit(model: Any, x: Rows, y: Tensor, classes: Classes | None) -> tuple[str, ...]:
    """Return notes on how far a model is from a plain ``fit(x, y)`` on all training rows.

    The measure is the root of the mean squared difference of the answers on these rows (probabilities of classes, or
    decision values, where there are any), as a share of how far answers are from their mean. A fit that
    seeds make different by itself is held against how different they make it.

    Parameters
    ----------
    model
        A fitted object with ``fit`` and ``predict``, which is left alone.
    x, y
        All rows that it was fitted on, and their targets.
    classes
        The labels of a classifier.

    Raises
    ------
    InvalidValueError
        If it is far from that: unlearning and retraining would be of another model than the one that is given.

    Examples
    --------
    >>> import torch
    >>> from sklearn.linear_model import Ridge
    >>> x, y = np.arange(12.0).reshape(6, 2) ** 2, np.arange(6.0)
    >>> compared_with_plain_fit(Ridge().fit(x, y), torch.tensor(x), torch.tensor(y), None)
    ()
    >>> compared_with_plain_fit(Ridge().fit(x[:3], y[:3]), torch.tensor(x), torch.tensor(y), None)
    Traceback (most recent call last):
    unshap_plugin.errors.InvalidValueError: a plain fit(x, y) of Ridge on the 6 training rows answers otherwise ...
    """
    given = _answers(model, x, classes)
    shape, kind = tuple(predicted(model, as_input(x), classes).shape[1:]), type(model).__name__

    def plain(seed: int | None) -> NDArray[np.float64]:
        again = _reseeded(model, 1 if seed is None else seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # who fitted the model has seen them
            return _answers(refit(again, as_input(x), y.cpu().numpy(), classes, shape, seed), x, classes)

    noise, draws = 0.0, False
    try:
        first = plain(0)
        distance = _distance(given, first)
        if distance > NOTED:
            with seeded(1):
                before = states()
                noise = _distance(plain(None), first)
                draws = moved(before) is not None or bool(_generators(model))
            noise = max(noise, _distance(_answers(model, x, classes), given))  # it may draw with every answer
            for seed in range(2, SEEDS if draws else 0):
                if distance > noise:
                    noise = max(noise, _distance(plain(seed), first))
    except Exception as error:
        raise InvalidValueError(
            f"{kind} cannot be fitted on the {n_rows(x)} training rows ({type(error).__name__}: {error}), as it is for "
            f"every coalition: give the rows that it was fitted on, in the form that its fit takes."
        ) from error
    if distance <= max(NOTED, BEYOND * noise):
        return ()
    what = (
        f"a plain fit(x, y) of {kind} on the {n_rows(x)} training rows answers otherwise than the model that is given, "
        f"by {distance:.2g} of the spread of its answers"
    )
    if distance > REFUSED and noise <= NOTED and not _unfinished(model):
        chance = "; if the fit draws at random, fit it with a random_state" if draws else ""
        raise InvalidValueError(
            f"{what}: it may have been fitted with weights, with other settings, on rows that were scaled otherwise, "
            f"on other rows, or by a fit that goes on from where it was; fit it again with fit(x, y) on train as it is "
            f"given, or give an object whose own fit(x, y) does all that was done{chance}."
        )
    if noise > NOTED:
        what += f", where seeds make it differ by {noise:.2g} at most"
    why = "its training was stopped before it converged" if _unfinished(model) else "it may have been fitted otherwise"
    return (f"{what} ({why}): values are those of plain fits, but the utility of all players is the given model's.",)


def _generators(model: Any) -> list[str]:
    """Return the names of parameters that are generators: its fit went on from their state, and left another."""
    if not isinstance(model, BaseEstimator):
        return []
    return [name for name, value in model.get_params().items() if isinstance(value, np.random.RandomState)]


def _reseeded(model: Any, seed: int) -> Any:
    """Return the model, or a copy whose parameters that are generators begin with the seed."""
    held = _generators(model)
    return clone(model).set_params(**{name: np.random.RandomState(seed) for name in held}) if held else model


def _answers(model: Any, x: Rows, classes: Classes | None) -> NDArray[np.float64]:
    """Return what says most of how a model answers, ``[rows, ...]``."""
    inner = model.model if isinstance(model, Relabelled) else model
    probable = classes is not None and hasattr(inner, "predict_proba")
    if classes is not None and not probable and hasattr(inner, "decision_function"):
        return np.asarray(inner.decision_function(as_input(x)), dtype=np.float64)
    outputs = predicted(model, as_input(x), classes).double()
    return np.asarray(outputs.exp() if probable else outputs)


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the distance of answers, as a share of how far those of ``b`` are from their mean."""
    if a.shape != b.shape:  # of other classes
        return float("inf")
    spread = np.linalg.norm(b - b.mean(axis=0))
    least = 1e-9 * np.linalg.norm(b) + np.finfo(np.float64).tiny
    return float(np.linalg.norm(a - b) / max(spread, least))


def _unfinished(model: Any) -> bool:
    """Tell whether a linear model says that it used up its iterations: in another precision it stops elsewhere."""
    done, most = getattr(model, "n_iter_", None), getattr(model, "max_iter", None)
    return hasattr(model, "coef_") and done is not None and most is not None and 0 < most <= np.max(done)
