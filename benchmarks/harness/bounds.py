"""*bounds*: what bounds each main loop, counted operation by operation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from harness.question import Question
from harness.report import Report, Row, Table
from harness.speed import METHODS
from harness.tasks import flipped
from harness.timing import alternate
from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.evaluation.passes import PASS_BYTES

__all__ = ["BOUNDS", "Count"]

#: The operations that torch's counter knows, of those that the loops take; it counts them alone.
_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"}


@dataclass
class _Totals:
    """What was counted: operations, floating-point operations of products, and bytes that others read and wrote."""

    calls: int
    flop: int
    bytes: int


class Count(TorchDispatchMode):
    """Counts the operations of torch while it is active, and the bytes that those which are no products pass over."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.calls += 1
        if func._overloadpacket.__name__ not in _PRODUCTS and not _is_view(func):
            tensors = [one for one in tree_flatten((args, kwargs, out))[0] if isinstance(one, Tensor)]
            self.bytes += sum(one.numel() * one.element_size() for one in tensors)
        return out


def _is_view(func: Any) -> bool:
    """Tell whether an operation gives another view of what it is given, and moves nothing."""
    results = func._schema.returns
    if func._overloadpacket.__name__ == "_unsafe_view":  # which does not say so
        return True
    return bool(results) and all(one.alias_info is not None and not one.alias_info.is_write for one in results)


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each model, data set and method."""
    for data, rows, model, coalitions in settings["cases"]:
        task = flipped(data, model, rows, seeds[0], share=0.0)
        problem = task.problem(task.fit(seed=seeds[0]))
        rng = np.random.default_rng(seeds[0])
        halves = np.stack([rng.permutation(rows) < rows // 2 for _ in range(coalitions)])
        runs: dict[str, Callable[[], Any]] = {"machine": _machine}
        runs |= {method: partial(_seconds, problem, method, halves) for method in METHODS[model]}
        done = alternate(runs, settings["rounds"])
        product, memory, call = (float(np.median(one)) for one in zip(*done.pop("machine").results, strict=True))
        for method, timed in done.items():
            row = {"model": model, "data": data, "rows": rows, "method": method}
            if timed.failure is not None:
                yield {**row, "failure": timed.failure}
                continue
            counted = _counted(problem, method, halves)
            yield {
                **row,
                "coalitions": coalitions - 1,
                "seconds": float(np.median(timed.results)),
                "calls": counted.calls,
                "flop": counted.flop,
                "bytes": counted.bytes,
                "product": product,
                "memory": memory,
                "call": call,
            }


def _seconds(problem: ValuationProblem, method: str, coalitions: NDArray[np.bool_]) -> float:
    """Return the processor time of all coalitions but the first, in which is what is done once."""
    game = UnlearningGame(problem, method)
    game(coalitions[:1])
    begin = time.process_time()
    game(coalitions[1:])
    return time.process_time() - begin


def _counted(problem: ValuationProblem, method: str, coalitions: NDArray[np.bool_]) -> _Totals:
    game = UnlearningGame(problem, method)
    game(coalitions[:1])
    with FlopCounterMode(display=False) as products, Count() as count:
        game(coalitions[1:])
    return _Totals(count.calls, products.get_total_flops(), count.bytes)


def _machine() -> tuple[float, float, float]:
    """Return operations a second of a plain product, bytes a second of a plain sum, and the seconds of a call."""
    a, one = torch.rand(1024, 1024), torch.rand(1)
    b = torch.rand(PASS_BYTES // 3 // 4)  # with another and their sum as large as what a pass works on
    c = torch.rand_like(b)
    product = 2 * 1024**3 / _each(lambda: a @ a, 5)
    memory = 3 * b.numel() * b.element_size() / _each(lambda: b + c, 20)
    return product, memory, _each(lambda: one + one, 5_000)


def _each(run: Callable[[], Any], times: int) -> float:
    run()
    begin = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - begin) / times


def tables(report: Report) -> list[Table]:
    """Return one table."""
    rows = []
    for row in report.rows:
        name = [f"{row['model']}, {row['data']} ({row['rows']} rows)", f"`{row['method']}`"]
        if "failure" in row:
            rows.append([*name, row["failure"], *[""] * 6])
            continue
        each = row["seconds"] / row["coalitions"]
        parts = [row["flop"] / row["product"], row["bytes"] / row["memory"], row["calls"] * row["call"]]
        shares = [part / row["seconds"] for part in parts]
        rates = [row["flop"] / row["seconds"] / 1e9, row["product"] / 1e9]
        rows.append(
            [
                *name,
                f"{1e6 * each:,.0f}",
                f"{rates[0]:.1f} of {rates[1]:.0f}",
                f"{row['bytes'] / row['coalitions'] / 1e6:.2f}",
                *(f"{share:.0%}" for share in shares),
                f"{row['seconds'] / sum(parts):.1f}",
            ]
        )
    header = ["model", "method", "a coalition, µs", "GFLOP/s, of a plain product", "MB passed over"]
    return [Table("", [*header, "products", "passes", "calls", "time over their sum"], rows)]


BOUNDS = Question(
    "bounds",
    "What bounds the main loops",
    "Every operation of torch is counted while coalitions are evaluated that keep a random half of the rows: those of "
    "products, and the bytes that all others read and write. The last columns say which share of the processor time "
    "the products would take at the rate of a plain product of two matrices of 1,024 rows, the others at the rate at "
    "which two arrays are added that are with their sum as large as what a pass works on, and what the calls of so "
    "many operations cost, with next to nothing to compute in them; then how many times the sum of the three the loop "
    "takes. The rates are measured in turns with the loops.",
    measure,
    tables,
    full={
        "rounds": 5,
        "cases": [
            ["breast_cancer", 200, "LogisticRegression", 1025],
            ["digits", 500, "LogisticRegression", 257],
            ["breast_cancer", 200, "ClassifierMLP", 257],
            ["digits", 500, "ClassifierMLP", 257],
        ],
    },
    quick={"rounds": 2, "cases": [["breast_cancer", 100, "LogisticRegression", 33]]},
    seeds=(1, 1),
)
