"""Classes or numbers from a column of labels, and what is learned from them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.cli._columns import finite_numbers, numbers
from unshap_plugin.cli._sources import Source, first, shortened
from unshap_plugin.errors import InvalidValueError

__all__ = ["Task", "classes_of", "guess_task", "labels_of"]

Task: TypeAlias = Literal["classification", "regression"]

#: More distinct whole numbers than this are quantities, not classes.
MAX_CLASSES = 20


def guess_task(label: pd.Series) -> Task:
    """Return what is learned: classification if the labels are text, or few distinct whole numbers."""
    found = numbers(label)
    if found is None:
        return "classification"
    whole = bool((found == np.round(found)).all())
    return "classification" if whole and len(np.unique(found)) <= MAX_CLASSES else "regression"


def classes_of(train: Source, label: str) -> tuple[str, ...]:
    """Return the names of the classes in training, sorted as numbers where they are numbers.

    Raises
    ------
    InvalidValueError
        If there is a single class, or so many that they can hardly be classes.
    """
    column = train.frame[label]
    found, names = numbers(column), _class_names(column)
    order = np.argsort(np.array(names) if found is None else found, kind="stable")
    classes = tuple(dict.fromkeys(names[i] for i in order))
    if len(classes) == 1:
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has the single class {classes[0]!r}: at least two are needed to "
            f"learn anything."
        )
    if len(classes) > MAX_CLASSES and 3 * len(classes) > len(column):
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has {len(classes)} different labels in {len(column)} rows, too "
            f"many for classes: check the label column, or use --model ridge for numbers."
        )
    return classes


def labels_of(source: Source, label: str, classes: tuple[str, ...]) -> NDArray[Any]:
    """Return the labels ``[rows]`` of a table: indices of classes, or numbers where there are no classes.

    Raises
    ------
    InvalidValueError
        If a label is none of the classes, or no finite number.
    """
    if not classes:
        return finite_numbers(source, label, "a regression needs numbers; correct those rows, or use --model logistic")
    number = {name: index for index, name in enumerate(classes)}
    names = _class_names(source.frame[label])
    y = np.array([number.get(name, -1) for name in names], dtype=np.int64)
    unknown = y < 0
    if unknown.any():
        raise InvalidValueError(
            f"{source.name} has class {names[int(unknown.argmax())]!r}, {first(unknown)}, which the training table "
            f"lacks (it has {shortened(classes)}): drop those rows, or add training rows of that class."
        )
    return y


def _class_names(label: pd.Series) -> list[str]:
    """Return the class of every row as text, the same for "1", "1.0" and 1."""
    found = numbers(label)
    if found is None:
        return [str(entry) for entry in label]
    return [np.format_float_positional(number, trim="-") for number in found]
