"""A memory for what is computed once, and kept for as long as a game is played."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, TypeVar

from typing_extensions import Self

from unshap_plugin.support.portable import Portable

__all__ = ["ComputedOnce"]

T = TypeVar("T")


class ComputedOnce(Portable):
    """Something with a memory of what functions computed from it.

    Every game has a memory of its own, for its unlearner: ``UnlearningGame`` takes ``scoped()`` of the problem. A copy
    starts with an empty memory.

    Examples
    --------
    >>> def number_of_keys(owner):
    ...     return len(owner._memory)
    >>> owner = ComputedOnce()
    >>> owner.once(number_of_keys), owner.once(number_of_keys), owner.scoped().once(number_of_keys)
    (0, 0, 0)
    >>> other = owner.scoped()
    >>> other.remember(owner.computed)
    >>> owner.forget_computed()
    >>> other.computed == {(number_of_keys,): 0}, owner.computed
    (True, {})
    """

    _left_behind: ClassVar[tuple[str, ...]] = ("_memory",)

    def __init__(self) -> None:
        self._make_anew()

    def _make_anew(self) -> None:
        self._memory: dict[Hashable, Any] = {}

    def scoped(self) -> Self:
        """Return a shallow copy with an empty memory of its own."""
        return self.__copy__()

    def once(self, compute: Callable[..., T], *arguments: Hashable) -> T:
        """Return ``compute(self, *arguments)``, computed the first time that it is asked for.

        The key is ``compute`` itself, with its ``arguments``: nobody can be given what another function computed, and
        what does not depend on a seed or a setting is not computed again for another one.

        Raises
        ------
        Exception
            Whatever ``compute`` raises: nothing is remembered then.
        """
        key = (compute, *arguments)
        if key not in self._memory:
            self._memory[key] = compute(self, *arguments)
        value: T = self._memory[key]
        return value

    @property
    def computed(self) -> dict[Hashable, Any]:
        """What was computed so far, by the functions and their arguments."""
        return dict(self._memory)

    def remember(self, computed: Mapping[Hashable, Any]) -> None:
        """Take what was ``computed`` elsewhere, of a copy of this."""
        self._memory.update(computed)

    def forget_computed(self) -> None:
        """Drop what was computed: it may come from something that somebody changed."""
        self._memory.clear()
