"""The frameworks that there are adapters for, and the versions that these work with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from unshap_plugin.errors import UnshapError

__all__ = ["FRAMEWORKS", "Framework", "FrameworkError", "check_framework"]


class FrameworkError(UnshapError, ImportError):
    """A framework is not installed, or in another version than those that its adapter works with.

    Examples
    --------
    >>> issubclass(FrameworkError, UnshapError), issubclass(FrameworkError, ImportError)
    (True, True)
    """


@dataclass(frozen=True)
class Framework:
    """A framework that there is an adapter for.

    Parameters
    ----------
    name
        The distribution that is installed, which is what the extra of this package is called.
    versions
        Those that the adapter works with, as pip writes them.
    adapter
        The import name of the adapter.

    Examples
    --------
    >>> FRAMEWORKS["shapiq"].adapter, FRAMEWORKS["shapiq"].supports("1.4.1"), FRAMEWORKS["shapiq"].supports("1.3.2")
    ('unshap_shapiq', True, False)
    >>> Framework("numpy", ">=1", "unshap_numpy").installed is None, Framework("nonesuch", "", "").installed
    (False, None)
    """

    name: str
    versions: str
    adapter: str

    @property
    def installed(self) -> str | None:
        """The version that is installed, if any is."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    @property
    def specifiers(self) -> SpecifierSet:
        """The versions that the adapter works with, as a set."""
        return SpecifierSet(self.versions)

    def supports(self, installed: str) -> bool:
        """Tell whether the adapter works with a version."""
        return self.specifiers.contains(installed, prereleases=True)


#: By the names of the distributions; ``pyproject.toml`` asks for the same versions, a line each.
FRAMEWORKS = {
    one.name: one
    for one in (
        Framework("opendataval", "==1.3.0", "unshap_opendataval"),
        Framework("shapiq", ">=1.4.1,<2", "unshap_shapiq"),
        Framework("pydvl", ">=0.10,<0.11", "unshap_pydvl"),
        Framework("dattri", ">=0.3,<0.4", "unshap_dattri"),
        Framework("cleanlab", ">=2.9,<3", "unshap_cleanlab"),
        Framework("transformers", ">=5", "unshap_transformers"),
    )
}


def check_framework(name: str) -> None:
    """Raise unless a version of a framework is installed that its adapter works with.

    Parameters
    ----------
    name
        One of ``FRAMEWORKS``.

    Raises
    ------
    FrameworkError
        If none is installed, or another one.

    Examples
    --------
    >>> from unittest import mock
    >>> with mock.patch("unshap_plugin.frameworks.version", return_value="0.9.2"):
    ...     check_framework("pydvl")
    Traceback (most recent call last):
    ...
    unshap_plugin.frameworks.FrameworkError: pydvl 0.9.2 is installed, but unshap_pydvl works with pydvl >=0.10,<0.11: \
run pip install 'unshap-plugin[pydvl]'.
    """
    one = FRAMEWORKS[name]
    found = one.installed
    if found is None or not one.supports(found):
        there = f"{name} is not installed" if found is None else f"{name} {found} is installed"
        raise FrameworkError(
            f"{there}, but {one.adapter} works with {name} {one.versions}: run pip install 'unshap-plugin[{name}]'."
        )
