"""Memory in bytes: what is free, and how users write it."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short

__all__ = ["as_bytes", "default_memory", "free_memory", "in_units", "keep_pages", "out_of_memory"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
#: Of what is free, a game takes no more than this share by default: others want some too.
SHARE = 4
#: A little less than where the C library stops adapting.
_LARGEST_KEPT = 2**25 - 2**16


def as_bytes(memory: int | str | None) -> int:
    """Return a memory in bytes; by default a quarter of what is free.

    Parameters
    ----------
    memory
        Bytes, or text such as ``"500 MB"``, ``"2GB"`` (powers of 1000) or ``"2GiB"`` (powers of 1024).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is none of these, or less than one byte.

    Examples
    --------
    >>> as_bytes("2GB"), as_bytes("1.5 KiB"), as_bytes(300)
    (2000000000, 1536, 300)
    """
    if memory is None:
        return default_memory()
    expected = "bytes, or text such as '500MB' or '2GB', is needed"
    if isinstance(memory, bool) or not isinstance(memory, int | np.integer | str):
        raise InvalidTypeError(f"memory is {in_short(memory)}, but a number of {expected}.")
    written = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(memory))
    unit = None if written is None else _UNITS.get(written[2].upper())
    size = 0 if written is None or unit is None else int(float(written[1]) * unit)
    if size < 1:
        raise InvalidValueError(f"memory is {in_short(memory)}, but a number of {expected}, of at least one byte.")
    return size


def default_memory() -> int:
    """Return a quarter of the bytes that are free, and at least one."""
    return max(free_memory() // SHARE, 1)


def free_memory() -> int:
    """Return how many bytes processes can still have: by ``psutil`` where it is installed, else by the system.

    Where neither tells, it is 2 GiB.
    """
    for tell in (_of_psutil, _of_linux, _of_sysconf):
        try:
            return tell()
        except (ImportError, OSError, ValueError, AttributeError, StopIteration):
            continue
    return 2**31


def in_units(size: float) -> str:
    """Return bytes as text that is read easily.

    Examples
    --------
    >>> in_units(2_500_000_000), in_units(300)
    ('2.5 GB', '300 B')
    """
    unit = next(name for name in ("TB", "GB", "MB", "KB", "B") if size >= _UNITS[name] or name == "B")
    return f"{size / _UNITS[unit]:.3g} {unit}"


def _of_psutil() -> int:
    psutil: Any = importlib.import_module("psutil")  # of which no version is asked
    return int(psutil.virtual_memory().available)


def _of_linux() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))


def _of_sysconf() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def keep_pages() -> None:
    """Let the process keep memory that was freed, up to some tens of megabytes, for the arrays that come next.

    The C library of Linux gives large arrays back to the system, which clears their pages whenever they come anew: a
    fifth of the time of a fast pass. It stops doing so up to the size of the largest array that was ever freed, of at
    most 32 MiB (``man mallopt``, M_MMAP_THRESHOLD). This one is never touched, and so takes no memory.

    Examples
    --------
    >>> keep_pages()
    """
    np.empty(_LARGEST_KEPT, dtype=np.uint8)


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on any device.

    Examples
    --------
    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "not enough memory" in str(error)
