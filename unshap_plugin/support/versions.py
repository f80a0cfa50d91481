"""Versions of the software that a number was made with."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import packages_distributions, version

import numpy as np
import torch

__all__ = ["distributions_of", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of the packages that utilities depend on, and of Python."""
    return {
        "unshap-plugin": version("unshap-plugin"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": version("scipy"),
        "python": platform.python_version(),
    }


def distributions_of(kind: type) -> dict[str, str]:
    """Return the versions of what distributes a class, by name; none for one of the user's.

    Examples
    --------
    >>> list(distributions_of(torch.nn.Linear)), distributions_of(int)
    (['torch'], {})
    """
    top = kind.__module__.partition(".")[0]
    return {name: version(name) for name in sorted(set(_distributions().get(top, ())))}


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())
