"""Arrays, made of tables, that a model can be trained on and measured with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from unshap_plugin.cli._columns import Features, indistinct
from unshap_plugin.cli._decoding import SEPARATORS
from unshap_plugin.cli._labels import Task, classes_of, guess_task, labels_of
from unshap_plugin.cli._numbers import check_complete, comma_notes, number_columns
from unshap_plugin.cli._sources import Source, read_csv, shortened
from unshap_plugin.cli._split import evenly, split
from unshap_plugin.errors import InvalidValueError, nearest

__all__ = ["TEST_SHARE", "Table", "make_table", "read_tables"]

TEST_SHARE = 0.3
#: Numbers that are so many standard deviations away are no numbers in single precision, or their squares are none.
_FARTHEST = 1e15


@dataclass(frozen=True)
class Table:
    """Training and test rows, ready for a model.

    Parameters
    ----------
    x, x_test
        float64 ``[rows, features]``: standardised numbers and one-hot categories, fitted on the training rows.
    y, y_test
        Classes int64 ``[rows]``, or standardised numbers float64 ``[rows]`` for regression.
    groups
        The group of each training row (text), or its row number in the data it came from (integers).
    reference
        Rows ``x`` outside training, and their labels where the reference table has them; ``None`` without one.
    classes
        Names of the classes; none for regression.
    notes
        What somebody who reads the values should know about how the rows were made.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    x_test: NDArray[np.float64]
    y_test: NDArray[Any]
    groups: NDArray[Any]
    reference: tuple[NDArray[np.float64], NDArray[Any] | None] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def task(self) -> Task:
        """Name of what is learned."""
        return "classification" if self.classes else "regression"

    @property
    def n_outputs(self) -> int:
        """Number of outputs that a model needs: one per class, or one."""
        return len(self.classes) or 1


def read_tables(
    train: Path,
    test: Path | None = None,
    reference: Path | None = None,
    *,
    label: str,
    group: str | None = None,
    task: Task | None = None,
    seed: int = 0,
) -> Table:
    """Return the rows of CSV files with a header line.

    Parameters
    ----------
    train
        The training table. Without a test table 30% of its rows are set aside for testing, and a note says so.
    test
        The test table, with at least the columns of the training table except ``group``.
    reference
        The reference table, with at least the features of the training table; its labels are read if it has them. Rows
        of it that are training rows too are left out, and a note says so.
    label
        The column to predict.
    group
        The column that says whose each training row is; it is not a feature.
    task
        ``None``: classification if the labels are text, or whole numbers of at most 20 kinds or that repeat (each
        twice or more, and five times on average); otherwise regression. A note says so where they are whole numbers.
    seed
        Seed of the split.

    Raises
    ------
    InvalidValueError
        If a file cannot be read, a column or an entry is missing, or the labels leave nothing to learn.
    """
    source = read_csv(train)
    columns = list(source.frame.columns)
    _check_separated(source, at_least=2)
    for option, column in (("label", label), ("group", group)):
        if column is not None and column not in columns:
            raise InvalidValueError(
                f"{source.name} has no {option} column {column!r}{nearest(column, columns)}; "
                f"its columns are: {shortened(columns)}."
            )
    if group == label:
        raise InvalidValueError(
            f"column {label!r} is given both as the label and as the group: they must be two columns."
        )
    features = [column for column in columns if column not in (label, group)]
    if not features:
        raise InvalidValueError(
            f"{source.name} has no column besides {shortened(columns)}: at least one feature is needed."
        )
    return make_table(
        source,
        None if test is None else _beside(test, "test", [column for column in columns if column != group], group=group),
        None if reference is None else _beside(reference, "reference", features, label, group),
        label=label,
        group=group,
        task=task,
        seed=seed,
        n_test=round(TEST_SHARE * len(source.frame)),
    )


def make_table(
    train: Source,
    test: Source | None = None,
    reference: Source | None = None,
    *,
    label: str,
    group: str | None = None,
    task: Task | None = None,
    seed: int = 0,
    n_test: int,
    most_test: int | None = None,
) -> Table:
    """Make the arrays; without ``test``, ``n_test`` rows are set aside for it, at most ``most_test`` of them used.

    Raises
    ------
    InvalidValueError
        If an entry is missing or is not what its column holds, or the labels leave nothing to learn.
    """
    if len(train.frame) < 2:
        raise InvalidValueError(f"{train.name} has one row: at least two are needed to compare their values.")
    given = [source for source in (train, test, reference) if source is not None]
    notes = [note for source in given for note in source.notes]
    numeric = number_columns(train)
    for source in given:
        check_complete(source, numeric)
    if task is None:
        task, said = guess_task(train, label)
        notes += said
    classes = classes_of(train, label) if task == "classification" else ()
    features = Features.of(train, without=(label, group))
    notes += [*comma_notes(train, [*features.numeric, label]), *features.notes(train)]
    x, y = features.typed(train), pd.Series(labels_of(train, label, classes, training=True), name=label)
    rows = np.arange(len(y))
    groups = rows if group is None else train.frame[group].to_numpy(dtype=str)
    if test is None:
        owners = np.zeros(len(y), dtype=np.int64) if group is None else np.unique(groups, return_inverse=True)[1]
        rows, aside = split(owners * len(classes) + y.to_numpy() if classes else owners, n_test, seed)
        aside = aside if most_test is None else np.sort(evenly(aside, min(most_test, len(aside))))
        if len(aside) == 0:
            raise InvalidValueError(
                f"{train.name} has {len(train.frame)} rows, too few to set some aside for testing: give a test table."
            )
        x_test, y_test = x.iloc[aside], y.iloc[aside]
        notes.append(f"{train.name}: split by the seed into {len(rows)} training and {len(aside)} test rows")
    else:
        x_test, y_test = features.typed(test), pd.Series(labels_of(test, label, classes), name=label)
        notes += features.unseen(x, x_test, test.name)
    scaler = None if classes else _scaler(train, label, y.to_numpy()[rows])
    encoder = features.encoder().fit(x.iloc[rows])
    encoded = _encoded(encoder, x.iloc[rows], train.name)
    notes += features.taken_as_equal(encoder, x.iloc[rows])
    outside: tuple[NDArray[np.float64], NDArray[Any] | None] | None = None
    if reference is not None:
        x_reference = _encoded(encoder, features.typed(reference), reference.name)
        kept = _outside(x_reference, encoded, reference.name)
        if not kept.all():
            notes.append(f"{reference.name}: {int((~kept).sum())} of {len(kept)} rows are training rows, and left out")
        outside = x_reference[kept], None
        if label in reference.frame:
            y_reference = pd.Series(labels_of(reference, label, classes), name=label)
            outside = x_reference[kept], _scaled(y_reference[kept], scaler, reference.name)
    tested = train.name if test is None else test.name
    return Table(
        x=encoded,
        y=_scaled(y.iloc[rows], scaler, train.name),
        x_test=_encoded(encoder, x_test, tested),
        y_test=_scaled(y_test, scaler, tested),
        groups=groups[rows],
        reference=outside,
        classes=classes,
        notes=tuple(notes),
    )


def _check_separated(source: Source, at_least: int) -> None:
    """Refuse a table whose columns could not be told apart."""
    if len(source.frame.columns) < min(at_least, 2):
        raise InvalidValueError(
            f"{source.name} has the single column {shortened(source.frame.columns)}, but at least {at_least} are "
            f"needed: separate them by {', '.join(SEPARATORS.values())}, all by the same."
        )


def _beside(path: Path, what: str, needed: list[str], label: str | None = None, group: str | None = None) -> Source:
    """Read a table that goes with the training table: the needed columns of it, and the label if it has that."""
    source = read_csv(path)
    _check_separated(source, at_least=len(needed))
    columns = list(source.frame.columns)
    absent = [column for column in needed if column not in columns]
    if absent:
        whose = "" if group is not None else ", or say with --group that it tells whose the rows are"
        raise InvalidValueError(
            f"{source.name} has no column {absent[0]!r}{nearest(absent[0], columns)}, which the training table has: "
            f"add it to the {what} table, or drop it from the training table{whose}."
        )
    return dataclasses.replace(
        source, frame=source.frame[[column for column in columns if column in needed or column == label]]
    )


def _encoded(encoder: ColumnTransformer, features: pd.DataFrame, name: str) -> NDArray[np.float64]:
    encoded = np.asarray(encoder.transform(features), dtype=np.float64)
    for column, scaled in zip(features, encoded.T, strict=False):  # numbers come first
        _check_near(scaled, features[column], name)
    return encoded


def _scaler(train: Source, label: str, y: NDArray[np.float64]) -> StandardScaler:
    """Return what standardises the labels of a regression, fitted on the training rows."""
    scaler = StandardScaler().fit(y[:, None])
    if len(np.unique(y)) == 1:
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has the single value {y[0]:g} in training: at least two are "
            f"needed to learn anything."
        )
    if indistinct(scaler, y[:, None])[0]:
        raise InvalidValueError(
            f"label column {label!r} of {train.name} has numbers from {y.min()} to {y.max()} in training, which differ "
            f"too little to compute with: subtract what they share, and multiply the rest."
        )
    return scaler


def _scaled(y: pd.Series, scaler: StandardScaler | None, name: str) -> NDArray[Any]:
    if scaler is None:
        return y.to_numpy(copy=True)  # which pandas gives to be read only
    scaled: NDArray[np.float64] = scaler.transform(y.to_numpy()[:, None])[:, 0]
    _check_near(scaled, y, name)
    return scaled


def _check_near(scaled: NDArray[np.float64], numbers: pd.Series, name: str) -> None:
    """Refuse what some models could not compute with."""
    far = np.abs(scaled) > _FARTHEST
    if far.any():
        at = int(far.argmax())
        raise InvalidValueError(
            f"column {numbers.name!r} of {name} has {numbers.iloc[at]:g} in row {numbers.index[at]} (counted from 0), "
            f"which is more than {_FARTHEST:g} standard deviations away from the training rows: correct it, or drop "
            f"that row."
        )


def _outside(x: NDArray[np.float64], train: NDArray[np.float64], name: str) -> NDArray[np.bool_]:
    """Return which reference rows are no training rows, bool ``[rows]``."""
    known = {row.tobytes() for row in train}
    kept = np.array([row.tobytes() not in known for row in x])
    if not kept.any():
        raise InvalidValueError(f"all {len(x)} rows of {name} are training rows: give other rows as the reference.")
    return kept
