"""Versions of the software that a number was made with."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import torch

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Return the versions of the packages that utilities depend on, and of Python."""
    return {
        "unshap-plugin": version("unshap-plugin"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
