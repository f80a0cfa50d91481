"""A result as one page of HTML, and its table as notebooks show it."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.estimators.semivalue import SHAPLEY
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.reports.drawings import svg_of
from unshap_plugin.reports.words import ENDINGS, answer, next_steps, question, standing, unit_of
from unshap_plugin.support.printing import form_of, number, one_line

if TYPE_CHECKING:
    from unshap_plugin.audit.report import FidelityReport
    from unshap_plugin.results.payments import Payouts
    from unshap_plugin.results.result import ValuationResult

__all__ = ["html_report", "html_table"]

#: Players in the table of a page, and in that of a notebook; of more, the best and the worst.
ROWS, ROWS_OF_A_NOTEBOOK = 2000, 40
#: Things that a metric may measure: each has a picture and a table.
PARTS = 12


def html_report(
    result: ValuationResult,
    audit: FidelityReport | None = None,
    paid: Payouts | None = None,
    command: str | None = None,
) -> str:
    """Return a page of HTML that needs nothing else: question, answer, how far to trust it, and how it was made.

    Parameters
    ----------
    result
        The values.
    audit
        An audit of their unlearner.
    paid
        What the players are paid by them.
    command
        What makes the page again.

    Raises
    ------
    InvalidValueError
        If the metric measures more than twelve things, or audit or payments are of other players or values.

    Examples
    --------
    >>> from unshap_plugin import shapley_values
    >>> class Bridge:
    ...     n_players, players = 3, ("acme", "bolt", "<script>")
    ...     def __call__(self, coalitions):
    ...         return coalitions @ [3.0, 1.0, -2.0]
    >>> page = html_report(shapley_values(Bridge()))
    >>> page[:15], "acme" in page, "&lt;script&gt;" in page
    ('<!doctype html>', True, True)
    """
    _check_same(result, audit, paid)
    parts = [*_parts(result)]
    script = _text("sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = _template("page.html.jinja").render(
        result=result,
        title=f"What the data of {len(result):,} player{'' if len(result) == 1 else 's'} is worth",
        question=question(result),
        unit=unit_of(result.metric),
        parts=[
            {
                "name": None if len(parts) == 1 else part.metric,
                "sentences": [*answer(part)],
                "picture": svg_of(part.plot(), f"The values in the table, with 95% intervals: {part.metric}"),
                "table": _table(part, ROWS, paid),
            }
            for part in parts
        ],
        steps=[*next_steps(parts[0], audited=audit is not None)],
        verdict=None if audit is None else audit.verdict,
        audited=[]
        if audit is None
        else [
            svg_of(audit.plot(metric=name), f"Errors of unlearning by size of the coalition: {name}")
            for name in audit.metrics
        ],
        paid=paid,
        settings=", ".join(f"{name}={value!r}" for name, value in result.settings.items()) or "none",
        kind=result.semivalue[:1].upper() + result.semivalue[1:],
        adds_up=result.semivalue == SHAPLEY,
        missing=", ".join(f"{one:.2g}" for one in np.ravel(_without_round_off(result))),
        seconds=_plain(result.seconds),
        ratio=_plain(result.variance_ratio),
        ending=ENDINGS.get(result.stopped),
        command=command,
        script=Markup(script),
        digest=digest,
        style=Markup(_text("page.css")),
    )
    return page


def html_table(result: ValuationResult) -> str:
    r"""Return the table of a result alone, with its first and last players, for notebooks.

    Examples
    --------
    >>> from unshap_plugin import shapley_values
    >>> class Bridge:
    ...     n_players = 2
    ...     def __call__(self, coalitions):
    ...         return coalitions @ [3.0, 1.0]
    >>> html_table(shapley_values(Bridge()))[:36]
    '<div class="unshap">\n<p>ValuationRes'
    """
    tables = [] if result.values.ndim > 1 else [_table(result, ROWS_OF_A_NOTEBOOK, None)]
    text: str = _template("table.html.jinja").render(line=repr(result), tables=tables, notes=result.notes)
    return text


def _check_same(result: ValuationResult, audit: FidelityReport | None, paid: Payouts | None) -> None:
    """Refuse an audit of other players, and payments by other values: their numbers would stand beside wrong names."""
    if audit is not None and [*map(str, audit.players)] != [*map(str, result.players)]:
        raise InvalidValueError(
            "the audit is of other players than the values are: pass one of the same game, or leave it out."
        )
    if paid is not None and not (
        [*map(str, paid.players)] == [*map(str, result.players)] and np.array_equal(paid.values, result.values)
    ):
        raise InvalidValueError(
            "the payments go by other values than those of the report: pass payouts of the same result, or leave them "
            "out."
        )


def _without_round_off(result: ValuationResult) -> Any:
    """Return what the values lack, with zeros where they lack nothing."""
    return np.where(np.abs(result.missing) <= round_off(result), 0.0, result.missing)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _parts(result: ValuationResult) -> Iterator[ValuationResult]:
    """Yield a result for each thing that the metric measures."""
    if result.values.ndim == 1:
        yield result
        return
    count = result.values.shape[1]
    if count > PARTS:
        raise InvalidValueError(
            f"the metric measures {count:,} things, and a report has room for {PARTS}: value by fewer, or take "
            "to_frame()."
        )
    names = result.columns or tuple(f"{result.metric}[{k}]" for k in range(count))
    for k, name in enumerate(names):
        own = {
            one: getattr(result, one)[..., k]
            for one in ("values", "std_errors", "degrees_of_freedom", "utility_all", "utility_none")
        }
        unlearned = {one: both[..., k] for one, both in result.unlearned.items()}
        yield dataclasses.replace(result, metric=name, columns=(), unlearned=unlearned, **own)


def _table(result: ValuationResult, most: int, paid: Payouts | None) -> dict[str, Any]:
    """Return header and rows of a table, best first: texts, and the number that a column is sorted by."""
    frame = result.to_frame()
    form = form_of(float(np.nanmax(np.abs(frame[["value", "std_error"]].to_numpy()))))
    above, below, _ = standing(result)
    names = ["value", "standard error", "95% interval", "rank"]
    unlearned = [
        column
        for name in result.unlearned
        for column in (f"unlearned by {name}", f"std error by {name}")
        if column in frame
    ]
    payments = [] if paid is None else ["payment", f"{100 * paid.level:.4g}% payment interval"]
    header = ["player", *names, *unlearned, *payments]
    order = np.argsort(frame["rank"].to_numpy(), kind="stable")
    shown = order if len(order) <= most else np.concatenate([order[: most // 2], order[-(most // 2) :]])
    rows, records = [], frame.to_dict("records")
    for i in shown.tolist():
        row = records[i]
        ends = f"[{number(row['ci_low'], form)}, {number(row['ci_high'], form)}]"
        ranks = f"{row['rank']}"
        if row["rank_low"] < row["rank_high"]:
            ranks += f" ({row['rank_low']} to {row['rank_high']})"
        cells = [
            (str(row["player"]), None),
            (number(row["value"], form), row["value"]),
            (number(row["std_error"], form), row["std_error"]),
            (ends, row["ci_low"]),
            (ranks, row["rank"]),
            *((number(row[name], form), row[name]) for name in unlearned),
        ]
        if paid is not None:
            low, high = (("-" if one.is_nan() else f"{one:,}", float(one)) for one in (paid.low[i], paid.high[i]))
            cells += [(f"{paid.payments[i]:,}", float(paid.payments[i])), (f"[{low[0]}, {high[0]}]", low[1])]
        sign = "above" if above[i] else "below" if below[i] else "open"
        rows.append({"sign": sign, "cells": [(text, _key(key)) for text, key in cells]})
    return {"header": header, "rows": rows, "left_out": len(order) - len(shown), "cut": most // 2}


def _key(value: Any) -> str | None:
    """Return a number as scripts read it; what is not known is NaN."""
    return None if value is None else "NaN" if np.isnan(value) else repr(float(value))


@functools.cache
def _template(name: str) -> jinja2.Template:
    loader = jinja2.FunctionLoader(_text)
    # Names of players are foreign input: everything is escaped but what is marked as our own.
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(name)


def _shown(one: Any) -> Any:
    """Return text without what would break lines, turn the direction of reading, or go into no file."""
    return one_line(one) if isinstance(one, str) and not isinstance(one, Markup) else one


def _text(name: str) -> str:
    return (files("unshap_plugin.reports") / name).read_text(encoding="utf-8")
