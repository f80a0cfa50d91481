"""What is printed of values: the players by rank, and how the values were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.estimators.semivalue import SHAPLEY
from unshap_plugin.reports.words import ENDINGS, answer, next_steps, question, unit_of
from unshap_plugin.results.payments import Payouts
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.printing import form_of, lines_of, number

__all__ = ["meaning_lines", "summary_lines", "table_lines"]

MAX_LINES, SHOWN = 40, 10


def table_lines(result: ValuationResult, paid: Payouts | InvalidValueError | None) -> Iterator[str]:
    """Yield the players by rank, with unlearned values and what they are paid; of many the first and the last."""
    frame = result.to_frame()
    largest = float(np.nanmax(np.abs(frame[["value", "std_error"]].to_numpy())))
    form = form_of(largest)
    columns = {
        "player": map(str, frame["player"]),
        "value" if result.semivalue == SHAPLEY else result.semivalue: (number(one, form) for one in frame["value"]),
        "std error": (number(one, form) for one in frame["std_error"]),
        "95% interval": _intervals(number(one, form) for one in frame[["ci_low", "ci_high"]].to_numpy().flat),
        "rank": map(str, frame["rank"]),
    }
    if (frame["rank_low"] < frame["rank_high"]).any():
        columns["95% ranks"] = _intervals(map(str, frame[["rank_low", "rank_high"]].to_numpy().flat))
    for name in result.unlearned:
        for column in (f"unlearned by {name}", f"std error by {name}"):
            if column in frame:
                columns[column] = (number(one, form) for one in frame[column])
    if isinstance(paid, Payouts):
        ends = (one for pair in zip(paid.low, paid.high, strict=True) for one in pair)
        columns["payment"] = (f"{one:,}" for one in paid.payments)
        columns["95% payment"] = _intervals("-" if one.is_nan() else f"{one:,}" for one in ends)
    rows = list(zip(*columns.values(), strict=True))
    rows = [tuple(columns), *(rows[i] for i in np.argsort(frame["rank"], kind="stable"))]
    if len(frame) > MAX_LINES:
        rows[1 + SHOWN : -SHOWN] = [("...", *[""] * (len(columns) - 1))]
    yield from lines_of(rows)


def _intervals(ends: Iterable[str]) -> Iterator[str]:
    """Yield what stands in a cell for each pair of ends."""
    each = iter(ends)
    return (f"[{low}, {high}]" for low, high in zip(each, each, strict=True))


def meaning_lines(result: ValuationResult, *, audited: bool) -> Iterator[str]:
    """Yield what a value means, in the units of the metric, what was found, and what to do now: without theory."""
    yield f"question     {question(result)}"
    yield f"unit         {result.metric}: {unit_of(result.metric)}"
    yield from _under("found", answer(result))
    yield from _under("next", next_steps(result, audited=audited))


def _under(word: str, sentences: Iterable[str]) -> Iterator[str]:
    """Yield sentences with a word before the first."""
    for sentence in sentences:
        yield f"{word:<12} {sentence}"
        word = ""


def summary_lines(result: ValuationResult, rows: int) -> Iterator[str]:
    """Yield what the values add up to, and how they were made."""
    yield f"v(all)       {float(result.utility_all):.6g}  ({result.metric} on {rows} test rows)"
    if not np.isnan(result.utility_none):  # which leave-one-out values need not know
        yield f"v(none)      {float(result.utility_none):.6g}  (when every player is unlearned)"
    if result.semivalue == SHAPLEY:
        gain = float(result.utility_all - result.utility_none)
        yield f"sum          {float(result.values.sum()):.6g}  (of the values; v(all) - v(none) is {gain:.6g})"
    else:
        yield f"values       {result.semivalue}  (not Shapley's: they do not add up to v(all) - v(none))"
    if result.retrainings:
        unlearned = " and ".join(result.unlearned)
        yield f"retrainings  {result.retrainings:,}  (what {unlearned} alone would give stands beside the values)"
        if "retrainings" in result.reasons:
            yield f"             as many as it takes {result.reasons['retrainings']}"
    yield f"evaluations  {result.evaluations:,}  (seed {result.seed})"
    if result.stopped != "budget":
        yield f"ended by     {ENDINGS[result.stopped]}"
    yield f"seconds      {result.seconds:.2f}"
    yield f"estimator    {result.estimator}{_why(result, 'estimator')}"
    settings = ", ".join(f"{name}={value!r}" for name, value in result.settings.items())
    yield f"unlearner    {result.unlearner} ({settings or 'no settings'}){_why(result, 'unlearner')}"


def _why(result: ValuationResult, what: str) -> str:
    return f" (auto: {result.reasons[what]})" if what in result.reasons else ""
