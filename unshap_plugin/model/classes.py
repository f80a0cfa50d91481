"""Class labels of any kind, as the numbers 0, 1, ... that losses and metrics work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest

__all__ = ["Classes", "as_labels", "is_text"]


@dataclass(frozen=True)
class Classes:
    """The labels of the classes, in the order of a model's outputs.

    Parameters
    ----------
    labels
        ``[c]``: numbers, text or booleans.

    Examples
    --------
    >>> Classes(np.array(["cat", "dog"])).encode(["dog", "cat", "dog"], "train y")
    array([1, 0, 1])
    """

    labels: NDArray[Any]

    def __len__(self) -> int:
        """Return the number of classes, c."""
        return len(self.labels)

    @property
    def numbered(self) -> bool:
        """Tell whether the labels are their own numbers, ``0 .. c - 1``."""
        return self.labels.dtype.kind in "iu" and np.array_equal(self.labels, np.arange(len(self)))

    def encode(self, y: Any, what: str, instead: str = "") -> NDArray[np.int64]:
        """Return the numbers of the classes of labels ``[rows]``, or of a column of them, ``[rows, 1]``.

        What to do ``instead`` is what errors say where nobody passed these labels.

        Raises
        ------
        InvalidTypeError
            If these are not one label per row.
        InvalidValueError
            If one of them is none of the classes.
        """
        given = as_labels(y, what)
        if given.ndim == 2 and given.shape[1] == 1:
            given = given[:, 0]
        if given.ndim != 1:
            raise InvalidTypeError(
                f"{what} has shape {list(given.shape)}, but a classifier needs one class label per row: "
                f"{instead or 'convert it, one-hot rows to the labels of their largest entries'}."
            )
        missing = np.asarray(pd.isna(given))
        if missing.any():
            remedy = instead or "fill it in, or drop the row"
            raise InvalidValueError(f"{what} has no label in row {int(missing.argmax())}: {remedy}.")
        number = {label: index for index, label in enumerate(self.labels.tolist())}
        try:
            numbers = np.array([number.get(label, -1) for label in given.tolist()], dtype=np.int64)
        except TypeError as error:  # of something that cannot be the key of a dict
            raise InvalidTypeError(f"{what} has no class labels ({error}): numbers or text are needed.") from error
        if (numbers < 0).any():
            row = int((numbers < 0).argmax())
            known, odd = self.labels.tolist(), given.tolist()[row]
            fitted = ", ".join(map(repr, known[:10])) + (", ..." if len(known) > 10 else "")
            remedy, close = "drop those rows, or fit it on rows of that class", nearest(odd, map(str, known))
            if str(odd) in map(str, known):
                remedy, close = "convert labels to the type of these", ""
            raise InvalidValueError(
                f"{what} has class {odd!r} in row {row}{close}, but the model was fitted on {fitted}: "
                f"{instead or remedy}."
            )
        return numbers

    def columns(self, labels: Any) -> NDArray[np.int64]:
        """Return the numbers of classes that another fit has, in its order."""
        instead = "let its fit set classes_ to the labels that it is given, one for each column of predict_proba"
        return self.encode(labels, "a refitted model's classes_", instead)

    def decode(self, y: NDArray[np.int64]) -> NDArray[Any]:
        """Return the labels of class numbers, of the same shape."""
        return self.labels[y]


def as_labels(y: Any, what: str) -> NDArray[Any]:
    """Return labels as an array.

    Raises
    ------
    InvalidTypeError
        If they are not one.

    Examples
    --------
    >>> as_labels(["yes", "no"], "train y").tolist()
    ['yes', 'no']
    """
    if isinstance(y, Tensor):
        return y.detach().cpu().to_dense().numpy()
    try:
        labels = np.asarray(y.toarray() if issparse(y) else y)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"{what} cannot be read ({error}): one label per row is needed.") from error
    if labels.ndim == 0:
        raise InvalidTypeError(f"{what} is a {type(y).__name__}, but one label per row is needed.")
    return labels


def is_text(y: Any) -> bool:
    """Tell whether labels are text (or other objects), which have to be encoded; numbers held as objects are not.

    Examples
    --------
    >>> is_text(["cat", "dog"]), is_text(np.array([0, 1], dtype=object))
    (True, False)
    """
    if isinstance(y, Tensor) or issparse(y) or (labels := as_labels(y, "train y")).dtype.kind not in "OUS":
        return False
    return pd.api.types.infer_dtype(labels.ravel()) not in ("integer", "floating", "mixed-integer-float", "boolean")
