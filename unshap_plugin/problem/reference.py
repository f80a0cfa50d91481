"""The reference set: data outside training that an unlearner may look at, apart from the test set."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.model.rows import Rows, leaves, n_rows, row_hashes, take
from unshap_plugin.problem.data import Reader
from unshap_plugin.problem.loaders import as_pair

__all__ = ["Reference", "check_alike", "seen_in_training", "split_test", "test_and_reference"]

#: Rows, and their targets where these are known.
Reference: TypeAlias = tuple[Rows, Tensor | None]

#: A smaller test set is not split into a reference set and a test set.
_FEWEST_TO_SPLIT = 4


def test_and_reference(
    reader: Reader, test: Any, given: Any, train: Rows, access: str
) -> tuple[tuple[Rows, Tensor], Reference | None, tuple[str, ...]]:
    """Return the test set, the reference set, and what a reader of the values should know of how they came about.

    They share no row unless the user says so.

    Parameters
    ----------
    reader
        Reads data for the model.
    test
        The test set as it was given, ``(x, y)``.
    given
        The reference set as it was given: ``(x, y)``, ``x``, ``"test"`` for the test set itself, or ``None``: there is
        none with full access, and in partial access the test set is split in two.
    train
        The training rows, which are not taken for reference rows.
    access
        ``"full"`` or ``"partial"``.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If the sets cannot be used.

    Examples
    --------
    >>> from unshap_plugin.losses import cross_entropy
    >>> from unshap_plugin.model.columns import Columns
    >>> from unshap_plugin.model.trained import TrainedModule
    >>> reader = Reader(TrainedModule(torch.nn.Linear(1, 2), cross_entropy), None, Columns.of(None, None))
    >>> (x, _), reference, _ = test_and_reference(reader, ([[1.0], [2.0]], [0, 1]), "test", torch.zeros(1, 1), "full")
    >>> reference[0] is x
    True
    """
    pair = reader.pair(test, "test")
    if given is None and access == "full":
        return pair, None, ()
    if given is None:
        tested, reference, note = split_test(*pair, train)
        return tested, reference, (note,)
    if isinstance(given, str):
        if given != "test":
            raise UnknownNameError("reference", given, ["test"])
        return pair, pair, ()
    given = as_pair(given, "reference")
    labelled = isinstance(given, tuple | list) and len(given) == 2 and (isinstance(given, tuple) or _pairs(*given))
    x, y = reader.pair(given, "reference") if labelled else (reader.rows(given, "reference"), None)
    kept = _elsewhere(x, pair[0], train)
    left_out = n_rows(x) - len(kept)
    if len(kept) == 0:
        raise InvalidValueError(
            f"all {left_out} reference rows are test or training rows too: give other rows, or reference='test' if the "
            f"test set is to be the reference set as well."
        )
    if not left_out:
        return pair, (x, y), ()
    warnings.warn(
        f"{left_out} of {n_rows(x)} reference rows are test or training rows too, and are left out; pass "
        f"reference='test' if the test set is to be the reference set as well.",
        stacklevel=3,
    )
    return pair, (take(x, kept), None if y is None else y[kept.to(y.device)]), ()


def check_alike(reference: Rows, train: Rows) -> None:
    """Raise ``InvalidValueError`` unless reference rows have as many dimensions as training rows.

    Examples
    --------
    >>> check_alike(torch.zeros(3, 2), torch.zeros(5, 2))
    """
    for mine, other in zip(leaves(reference), leaves(train), strict=False):
        if mine.ndim != other.ndim:
            raise InvalidValueError(
                f"reference rows have shape {list(mine.shape[1:])}, but train rows have {list(other.shape[1:])}: give "
                f"rows as those that the model was trained on, [rows, ...]."
            )


def seen_in_training(test: Rows, train: Rows) -> str | None:
    """Say so if more than half of the test rows are training rows too.

    Examples
    --------
    >>> print(seen_in_training(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [1.0]])))
    2 of 2 test rows are training rows too: the values say how well the model remembers them, not how well it does on \
new data; test it on rows that it was not trained on.
    """
    seen = n_rows(test) - len(_elsewhere(test, train))
    if 2 * seen <= n_rows(test):
        return None
    return (
        f"{seen} of {n_rows(test)} test rows are training rows too: the values say how well the model remembers them, "
        f"not how well it does on new data; test it on rows that it was not trained on."
    )


def split_test(x: Rows, y: Tensor, train: Rows) -> tuple[tuple[Rows, Tensor], Reference | None, str]:
    """Split a test set into a smaller one and a reference set, by class where there are classes.

    Parameters
    ----------
    x, y
        The test set.
    train
        The training rows: none of them is taken for the reference set.

    Returns
    -------
    tuple
        The test set, the reference set (``None`` if there are too few rows), and a sentence that says what was done.

    Examples
    --------
    >>> x, train = torch.arange(6.0)[:, None], torch.tensor([[9.0]])
    >>> test, reference, note = split_test(x, torch.zeros(6), train)
    >>> len(test[1]), len(reference[1])
    (3, 3)
    """
    if len(y) < _FEWEST_TO_SPLIT:
        return (x, y), None, f"there is no reference set: the {len(y)} test rows are too few to split."
    order = np.random.default_rng(0).permutation(len(y))
    if y.ndim == 1 and not y.is_floating_point():  # by class, so that both halves have their share of each
        order = order[np.argsort(y.cpu().numpy()[order], kind="stable")]
    rows, other = (torch.as_tensor(np.sort(order[begin::2]), device=y.device) for begin in (0, 1))
    test = take(x, rows), y[rows.to(y.device)]
    other = other[_elsewhere(take(x, other), test[0], train)]
    half = f"only one set was given beside the training rows: {len(rows)} of its {len(y)} rows are the test set"
    if len(other) == 0:
        return test, None, f"{half}, and there is no reference set, since the others are test or training rows too."
    return test, (take(x, other), y[other.to(y.device)]), f"{half}, and {len(other)} others the reference set."


def _pairs(x: Any, y: Any) -> bool:
    """Tell whether these are rows and their labels, and not two rows."""
    return bool(getattr(x, "ndim", 0) > getattr(y, "ndim", 1))


def _elsewhere(x: Rows, *known: Rows) -> Tensor:
    """Return the numbers of the rows that are in none of the known sets."""
    seen = {one for rows in known for one in row_hashes(rows).tolist()}
    kept = [index for index, one in enumerate(row_hashes(x).tolist()) if one not in seen]
    return torch.tensor(kept, dtype=torch.long, device=_device(x))


def _device(x: Rows) -> torch.device:
    return leaves(x)[0].device if leaves(x) else torch.device("cpu")
