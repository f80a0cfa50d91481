"""Access: names for what an unlearner needs to see, and for the models that it takes."""

from __future__ import annotations

import enum

__all__ = ["Access", "ModelKind", "shown"]


class Access(enum.Flag):
    """Data that an unlearner needs to see, or a problem can show.

    Examples
    --------
    >>> (Access.FORGET | Access.REFERENCE).names()
    'FORGET, REFERENCE'
    """

    FORGET = enum.auto()
    RETAIN = enum.auto()
    REFERENCE = enum.auto()
    ARTIFACTS = enum.auto()

    def names(self) -> str:
        """Return the members in words, joined by commas."""
        return ", ".join(str(one.name) for one in Access if one in self)


class ModelKind(enum.Flag):
    """Kind of model that an unlearner takes, or a problem has.

    Examples
    --------
    >>> ModelKind.FIT_PREDICT.names()
    'objects with fit and predict'
    """

    PARAMETERS = enum.auto()  # a torch module with trainable parameters
    FIT_PREDICT = enum.auto()  # any other object, with fit and predict

    def names(self) -> str:
        """Return the members in words, joined by commas."""
        words = {
            ModelKind.PARAMETERS: "torch modules with trainable parameters",
            ModelKind.FIT_PREDICT: "objects with fit and predict",
        }
        return ", ".join(word for kind, word in words.items() if kind in self)


def shown(*, retained: bool, reference: bool, artifacts: bool) -> Access:
    """Return the access to the forget rows, which are always there, and to what else is there.

    Examples
    --------
    >>> shown(retained=True, reference=False, artifacts=False).names()
    'FORGET, RETAIN'
    """
    seen = Access.FORGET
    for one, there in ((Access.RETAIN, retained), (Access.REFERENCE, reference), (Access.ARTIFACTS, artifacts)):
        seen |= one if there else Access(0)
    return seen
