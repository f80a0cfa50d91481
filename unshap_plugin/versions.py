"""What a number was made with."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import torch

from unshap_plugin.game import UnlearningGame

__all__ = ["versions"]


def versions(game: UnlearningGame) -> dict[str, str]:
    """Return the versions of the packages that the utilities of a game depend on, that of a plugin too."""
    return {
        **({game.provider.distribution: game.provider.version} if game.provider is not None else {}),
        "unshap-plugin": version("unshap-plugin"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
