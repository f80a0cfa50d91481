"""Classes or numbers from a column of labels, and what is learned from them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from unshap_plugin.cli._numbers import as_numbers, finite_numbers, number_of
from unshap_plugin.cli._sources import Source, first, shortened
from unshap_plugin.errors import InvalidValueError, nearest

__all__ = ["Task", "classes_of", "guess_task", "labels_of"]

Task: TypeAlias = Literal["classification", "regression"]

#: Whole numbers of more kinds than this are classes only if they repeat: so often at least, and so often on average.
MAX_CLASSES, LEAST, AVERAGE = 20, 2, 5


def guess_task(train: Source, label: str) -> tuple[Task, tuple[str, ...]]:
    """Return what is learned, and a note where the labels may have been meant otherwise.

    Text is classes, and so are whole numbers, if they are few or repeat.
    """
    found = as_numbers(train, label)
    if np.isnan(found).any():
        return "classification", ()
    kinds, counts = np.unique(found, return_counts=True)
    if not (np.isfinite(kinds).all() and (kinds == np.round(kinds)).all()):
        return "regression", ()
    few = len(kinds) <= MAX_CLASSES
    repeat = counts.min() >= LEAST and counts.mean() >= AVERAGE
    if len(kinds) <= 2:
        return "classification", ()
    taken, other = ("classes", "regression") if few or repeat else ("numbers", "classification")
    note = (
        f"the labels {label!r} are {len(kinds)} different whole numbers in {len(found)} rows: they were taken as "
        f"{taken}, which --task {other} changes"
    )
    return "classification" if taken == "classes" else "regression", (note,)


def classes_of(train: Source, label: str) -> tuple[str, ...]:
    """Return the names of the classes in training, sorted as numbers where they are numbers.

    Raises
    ------
    InvalidValueError
        If there is a single class, or so many that they can hardly be classes.
    """
    column, found = train.frame[label], as_numbers(train, label)
    numeric = not np.isnan(found).any()
    names = [_canonical(number) for number in found] if numeric else list(column)
    order = np.argsort(found if numeric else np.array(names), kind="stable")
    classes = tuple(dict.fromkeys(names[i] for i in order))
    if len(classes) == 1:
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has the single class {classes[0]!r}: at least two are needed to "
            f"learn anything."
        )
    if len(classes) > MAX_CLASSES and 3 * len(classes) > len(column):
        advice = ", or learn numbers with --task regression" if numeric else ""
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has {len(classes)} different labels in {len(column)} rows, too "
            f"many for classes: name another label column{advice}."
        )
    return classes


def labels_of(source: Source, label: str, classes: tuple[str, ...], *, training: bool = False) -> NDArray[Any]:
    """Return the labels ``[rows]`` of a table: indices of classes, or numbers where there are no classes.

    Raises
    ------
    InvalidValueError
        If a label is none of the classes, or no finite number.
    """
    if not classes:
        # With text in training, a regression is not what was guessed, but what was asked for.
        asked = "a regression needs numbers; correct those rows, or leave out what asks for one (--task, --model)"
        return finite_numbers(
            source, label, asked if training else "the training table has numbers there; correct those rows"
        )
    number = {name: index for index, name in enumerate(classes)}
    column, comma = source.frame[label], source.separator != ","
    # The same class for "1", "1.0" and 1.
    if is_numeric_dtype(column):
        names = [_canonical(entry) for entry in column]
    else:
        names = [name if name in number else _canonical(number_of(name, decimal_comma=comma)) for name in column]
    y = np.array([number.get(name, -1) for name in names], dtype=np.int64)
    unknown = y < 0
    if unknown.any():
        name = str(column.iloc[int(unknown.argmax())])
        raise InvalidValueError(
            f"{source.name} has class {name!r}, {first(unknown)}{nearest(name, classes)}, which the training table "
            f"lacks (it has {shortened(classes)}): drop those rows, or add training rows of that class."
        )
    return y


def _canonical(number: float) -> str:
    return np.format_float_positional(number, trim="-")
