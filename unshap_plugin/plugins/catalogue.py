"""What is offered of one kind, by whom, and how it is found by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["BUILTIN", "Catalogue", "Failure", "Named", "Provider", "Registered", "normal"]

#: The distribution that the built-in methods belong to.
BUILTIN = "unshap-plugin"


class Named(Protocol):
    """What has a name that users type."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Provider:
    """The distribution, and its entry point, that a plugin comes from."""

    distribution: str
    version: str
    entry_point: str

    def __str__(self) -> str:
        """Return distribution and version."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Failure:
    """A plugin that was skipped, and why."""

    provider: Provider
    reason: str


@dataclass(frozen=True)
class Registered(Generic[T]):
    """What was offered, and by whom."""

    offer: T
    provider: Provider

    @property
    def name(self) -> str:
        """The name that it was offered under."""
        return self.offer.name

    @property
    def qualified(self) -> str:
        """The name that is never ambiguous, ``distribution:name``."""
        return f"{self.provider.distribution}:{self.name}"


@dataclass(frozen=True)
class Catalogue(Generic[T]):
    """Everything of one kind that is offered, in the order in which it was loaded.

    Parameters
    ----------
    kind
        What one of them is called in a message, such as ``"unlearner"``.
    offers
        All of them, the built-in ones first.

    Examples
    --------
    >>> from unshap_plugin.plugins.manager import plugins
    >>> [exact] = plugins().estimators.named("exact")
    >>> exact.qualified
    'unshap-plugin:exact'
    """

    kind: str
    offers: tuple[Registered[T], ...]

    def named(self, name: str) -> list[Registered[T]]:
        """Return who offers a name, or ``distribution:name``."""
        distribution, colon, bare = name.rpartition(":")
        offers = [one for one in self.offers if one.name == bare]
        return [one for one in offers if not colon or normal(one.provider.distribution) == normal(distribution)]

    @property
    def conflicts(self) -> dict[str, list[Registered[T]]]:
        """The names that several distributions offer, with all of these."""
        offers = {one.name: self.named(one.name) for one in self.offers}
        return {name: each for name, each in offers.items() if len(each) > 1}

    @property
    def usable(self) -> dict[str, Registered[T]]:
        """Every one by the shortest name that is not ambiguous."""
        conflicts = self.conflicts
        return {one.qualified if one.name in conflicts else one.name: one for one in self.offers}


def normal(name: str) -> str:
    """Return the name of a distribution as it is compared.

    Examples
    --------
    >>> normal("My_Plugin")
    'my-plugin'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
