"""What a plugin may offer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pluggy

from unshap_plugin.errors import InvalidValueError, nearest
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["PROJECT", "UnlearnerSpec", "hookimpl", "hookspec", "unshap_unlearners"]

PROJECT = "unshap_plugin"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class UnlearnerSpec:
    """An unlearning method, as a plugin offers it.

    Parameters
    ----------
    name
        What users call it.
    factory
        Makes the unlearner from keyword settings; usually the class itself.
    summary
        One line.
    source
        The paper or book it comes from.
    """

    name: str
    factory: Callable[..., Unlearner]
    summary: str
    source: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings and their defaults, from the signature of the factory."""
        return {p.name: p.default for p in inspect.signature(self.factory).parameters.values()}

    def make(self, **settings: Any) -> Unlearner:
        """Make the unlearner.

        Raises
        ------
        InvalidValueError
            If a setting does not exist, or its value is out of range.
        """
        for name in settings:
            if name not in self.settings:
                raise InvalidValueError(
                    f"unlearner {self.name!r} has no setting {name!r}{nearest(name, self.settings)}; "
                    f"it has: {', '.join(self.settings) or 'none'}."
                )
        return self.factory(**settings)


@hookspec
def unshap_unlearners() -> Iterable[UnlearnerSpec]:  # type: ignore[empty-body]
    """Yield the unlearning methods that this plugin offers.

    >>> from unshap_plugin import UnlearnerSpec, hookimpl
    >>> from unshap_plugin.unlearners import FineTune
    >>> @hookimpl
    ... def unshap_unlearners():
    ...     yield UnlearnerSpec("mine", FineTune, "Descends the retained loss.", "A paper, 2026")
    """
