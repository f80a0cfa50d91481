"""What a report says: the question, what a value means in the units of its metric, and who stands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.semivalue import LEAVE_ONE_OUT, SHAPLEY
from unshap_plugin.numerics.round_off import round_off

if TYPE_CHECKING:
    from unshap_plugin.results.result import ValuationResult

__all__ = ["ENDINGS", "answer", "next_steps", "question", "standing", "unit_of"]

#: What ended a run before its budget was used, by ``stopped``.
ENDINGS = {
    "target_error": "target error",
    "stable_top": "stable top",
    "max_time": "time limit",
    "interrupted": "interruption, with the values so far",
}

#: What the utility is, and what one of it is, by the names of metrics; of others the name has to do.
_UNITS = {
    "log_likelihood": "the mean logarithm of the probability that the model gives to what is right; 0 is the best "
    "there is, and 0.1 more makes the right answers a tenth more probable",
    "accuracy": "the share of test rows that the model gets right; 0.01 is one row in a hundred",
    "neg_mean_squared_error": "the negative mean squared error; 0 is the best there is",
    "r2": "the share of the variance that the model explains; 1 is the best there is",
    "neg_loss": "the negative mean loss of the test rows",
    "neg_perplexity": "the negative perplexity, as whose inverse the model guesses the next token; -1 is the best",
    "token_accuracy": "the share of tokens that the model gets right",
    "choice_accuracy": "the share of questions of which the model finds the right answer the most likely one",
}
_NAMED = 8


def unit_of(metric: str) -> str:
    """Return what the utility is, in words.

    Examples
    --------
    >>> unit_of("accuracy")
    'the share of test rows that the model gets right; 0.01 is one row in a hundred'
    >>> unit_of("f1_macro")
    'f1_macro of the test rows; higher is better'
    """
    return _UNITS.get(metric, f"{metric} of the test rows; higher is better")


def question(result: ValuationResult) -> str:
    """Return what was asked, in words that need no theory."""
    n = len(result)
    whose = "one player" if n == 1 else f"{n:,} players"
    how = {
        SHAPLEY: "averaged over all orders in which the data could have come in",
        LEAVE_ONE_OUT: "with the data of everybody else kept",
    }.get(result.semivalue, f"averaged over coalitions of the other players, as the {result.semivalue} does")
    # Of games of somebody else's nothing is known of how they leave a player out.
    ways = {"retrain": "trained without it", "none": "left without its data"}
    made = ways.get(result.unlearner, "made to forget it")
    return (
        f"A model was trained on data of {whose}: rows, or groups of rows, such as those of a provider. The value of a "
        f"player is how much worse the model gets when it is {made}, {how}; a negative value says that the model is "
        f"better off without that data."
    )


def standing(result: ValuationResult) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return who is above zero beyond its error, who is below, and of whom that is open, bool like the values.

    Errors are those of 95% intervals, and round-off. A value without a standard error is open.
    """
    (low, high), same = result.interval(), round_off(result)
    above, below = low > same, high < -same
    return above, below, ~(above | below)


def answer(result: ValuationResult) -> Iterator[str]:
    """Yield what was found, in sentences; of a metric of one thing."""
    above, below, open_ones = standing(result)
    nothing = open_ones & (result.std_errors == 0)
    gain = float(result.utility_all - result.utility_none)
    if result.semivalue == SHAPLEY and np.isfinite(gain) and not result.biased:
        yield (
            f"With everybody's data the utility is {result.utility_all:.4g}, with nobody's {result.utility_none:.4g}: "
            f"the values divide the difference of {gain:.4g} among the players."
        )
    else:
        yield f"With everybody's data the utility is {result.utility_all:.4g}."
    for where, what in (
        (above, "improved the model, beyond the error of their values"),
        (below, "harmed the model, beyond the error of their values"),
        (open_ones & ~nothing, "may have done either: their intervals contain zero, or are not known"),
        (nothing, "made no difference: their values are zero without an error"),
    ):
        if where.any():
            yield f"{_count(where, len(result))} {what}{_named(result, where, below is where)}."


def next_steps(result: ValuationResult, *, audited: bool) -> Iterator[str]:
    """Yield what a reader may do now."""
    _, below, open_ones = standing(result)
    if below.any():
        yield (
            "Look at the data of the lowest values first: wrong labels, scrambled text and data of another kind end up "
            "there. Train once without it to see what that gains."
        )
    if (open_ones & (result.std_errors > 0)).any() and np.isfinite(result.std_errors).all():
        yield "A larger budget narrows the intervals: four times the evaluations halve them."
    if not audited and not result.retrainings and result.unlearner not in ("retrain", "none"):
        yield (
            "Errors here are those of sampling. How far unlearning is from retraining they do not say: an audit "
            "measures it (unshap audit), and retraining on a few coalitions removes it (--retrain)."
        )


def _count(where: NDArray[np.bool_], n: int) -> str:
    count = int(where.sum())
    if n == 1:
        return "The one player"
    return f"All {n:,} players" if count == n else f"{count:,} of {n:,} players"


def _named(result: ValuationResult, where: NDArray[np.bool_], lowest: bool) -> str:
    """Return some of them by name, those that stand out most first."""
    if where.all() and len(result) > _NAMED:
        return ""
    order: Sequence[Any] = np.argsort(result.values if lowest else -result.values, kind="stable").tolist()
    chosen = [str(result.players[i]) for i in order if where[i]]
    more = f" and {len(chosen) - _NAMED:,} more" if len(chosen) > _NAMED else ""
    return f" ({', '.join(chosen[:_NAMED])}{more})"
