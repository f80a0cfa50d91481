"""The unlearners that are compared, and what else was tried when their settings were chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["METHODS", "TRIED", "Method"]

RATE = 1e-2  # that of the training


@dataclass(frozen=True)
class Method:
    """An unlearner with its settings.

    Parameters
    ----------
    unlearner
        Its name.
    access
        That of the problem it is asked with.
    settings
        Its settings.
    """

    unlearner: str
    access: Literal["full", "partial"] = "full"
    settings: dict[str, Any] = field(default_factory=dict)


def _steps(steps: int, lr: float, size: int = 16, **more: float) -> dict[str, Any]:
    return {"steps": steps, "lr": lr, "batch_size": size, **more}


#: What is compared.
METHODS = {
    "`finetune`": Method("finetune", settings=_steps(6, RATE)),
    "`graddiff`": Method("graddiff", settings=_steps(8, RATE)),
    "`merge`": Method("merge"),
    "`influence`": Method("influence"),
    "`gradient_ascent`": Method("gradient_ascent", "partial", _steps(4, RATE)),
    "`npo`": Method("npo", "partial", _steps(4, RATE / 10)),
    "`simnpo`": Method("simnpo", "partial", _steps(4, RATE / 10)),
}


def _tried() -> Iterator[tuple[str, Method]]:
    for steps, size, rate, shrink in (
        (4, 16, RATE, 0.8),
        (6, 16, RATE, 0.8),
        (8, 16, RATE / 2, 0.8),
        (8, 16, RATE, 0.8),
        (8, 16, RATE, 1.0),
        (8, 16, RATE, 0.5),
        (8, 16, 2 * RATE, 0.8),
        (8, 32, RATE, 0.8),
        (16, 16, RATE, 0.8),
    ):
        settings = _steps(steps, rate, size, shrink=shrink)
        yield f"finetune {steps} x {size} {rate:g} {shrink:g}", Method("finetune", settings=settings)
    for name in ("gradient_ascent", "npo", "simnpo"):
        for steps, rate in ((4, RATE / 10), (4, RATE / 3), (4, RATE), (10, RATE / 3)):
            yield f"{name} {steps} x 16 {rate:g}", Method(name, "partial", _steps(steps, rate))
    for steps, rate in ((4, RATE), (8, RATE), (8, 2 * RATE)):
        yield (
            f"reference_teacher {steps} x 16 {rate:g}",
            Method("reference_teacher", "partial", _steps(steps, rate)),
        )
    yield from ((name, one) for name, one in METHODS.items() if one.unlearner in ("graddiff", "merge", "influence"))


#: What is tried with ``--choose``.
TRIED = dict(_tried())
