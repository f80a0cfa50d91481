"""From CSV files, or the real data that ships with scikit-learn, to arrays that a model can be trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from unshap_plugin.errors import InvalidValueError, UnknownNameError, nearest

__all__ = ["EXAMPLES", "Table", "Task", "example", "flip_labels", "read_tables"]

Task: TypeAlias = Literal["classification", "regression"]

EXAMPLES: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}

#: More distinct whole numbers than this are quantities, not classes.
MAX_CLASSES = 20
#: A text column with more distinct entries than this is hardly a category.
MANY_CATEGORIES = 30
TEST_SHARE = 0.3
#: Beyond this, variances overflow on the way.
_LARGEST = 1e100
EXAMPLE_ROWS = 200, 1000

# Named one by one because what pandas takes for missing differs between its versions ("None").
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL"]


@dataclass(frozen=True)
class Table:
    """Training and test rows, ready for a model.

    Parameters
    ----------
    x, x_test
        float64 ``[rows, features]``: standardised numbers and one-hot categories, fitted on the training rows.
    y, y_test
        Classes int64 ``[rows]``, or standardised numbers float64 ``[rows]`` for regression.
    players
        The group of each training row (text), or its row number in the data it came from (integers).
    classes
        Names of the classes; none for regression.
    notes
        What somebody who reads the values should know about how the rows were made.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    x_test: NDArray[np.float64]
    y_test: NDArray[Any]
    players: NDArray[Any]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def task(self) -> Task:
        """What is learned."""
        return "classification" if self.classes else "regression"

    @property
    def n_outputs(self) -> int:
        """How many outputs a model needs: one per class, or one number."""
        return len(self.classes) or 1


def example(name: str, *, task: Task | None = None, seed: int = 0) -> Table:
    """Return one of scikit-learn's data sets, split into at most 200 training and 1,000 test rows.

    Parameters
    ----------
    name
        One of ``EXAMPLES``.
    task
        As in ``read_tables``.
    seed
        Of the split.

    Raises
    ------
    UnknownNameError
        If there is no such example.
    """
    if name not in EXAMPLES:
        raise UnknownNameError("example", name, EXAMPLES)
    data = EXAMPLES[name]()
    frame = pd.DataFrame(data.data).rename(columns=str)
    named = "target_names" in data and task != "regression"
    frame["target"] = np.asarray(data.target_names)[data.target].astype(str) if named else data.target
    most, most_test = EXAMPLE_ROWS
    n_test = max(len(frame) - most, round(TEST_SHARE * len(frame)))
    return _table(
        _Source(f"example {name!r}", frame, ()), None, "target", None, task, seed, n_test=n_test, most_test=most_test
    )


def read_tables(
    train: Path,
    test: Path | None = None,
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
    label
        The column to predict.
    group
        The column that says whose each training row is; it is not a feature.
    task
        ``None``: classification if the labels are text, or at most 20 different whole numbers; otherwise regression.
    seed
        Of the split.

    Raises
    ------
    InvalidValueError
        If a file cannot be read, a column or an entry is missing, or the labels leave nothing to learn.
    """
    source = _read(train)
    columns = list(source.frame.columns)
    for option, column in (("label", label), ("group", group)):
        if column is not None and column not in columns:
            raise InvalidValueError(
                f"{source.name} has no {option} column {column!r}{nearest(column, columns)}; "
                f"its columns are: {_shortened(columns)}."
            )
    if group == label:
        raise InvalidValueError(
            f"column {label!r} is given both as the label and as the group: they must be two columns."
        )
    if not set(columns) - {label, group}:
        raise InvalidValueError(
            f"{source.name} has no column besides {_shortened(columns)}: at least one feature is needed."
        )
    other = None
    if test is not None:
        other = _read(test)
        needed = [column for column in columns if column != group]
        absent = [column for column in needed if column not in other.frame.columns]
        if absent:
            raise InvalidValueError(
                f"{other.name} has no column {absent[0]!r}{nearest(absent[0], list(other.frame.columns))}, which the "
                f"training table has: add it to the test table, or drop it from the training table."
            )
        other = dataclasses.replace(other, frame=other.frame[needed])
    return _table(source, other, label, group, task, seed, n_test=round(TEST_SHARE * len(source.frame)))


def flip_labels(table: Table, share: float, seed: int) -> tuple[Table, NDArray[np.int64]]:
    """Give a share of the training rows another class.

    Parameters
    ----------
    table
        The table, which is not changed.
    share
        Between 0 and 1.
    seed
        Chooses the rows and their new classes.

    Returns
    -------
    tuple
        The table with flipped labels, and the flipped rows, sorted.

    Raises
    ------
    InvalidValueError
        If there are no classes, or the share is no number of rows between one and all but one.
    """
    if not table.classes:
        raise InvalidValueError("flipping labels needs classes, but this is a regression: leave out --flip.")
    rows = len(table.y)
    count = round(share * rows) if 0 < share < 1 else 0
    if not 0 < count < rows:
        raise InvalidValueError(
            f"the share of labels to flip is {share:g}, but it must be between 0 and 1 and make at least one, and not "
            f"all, of the {rows} training rows."
        )
    # A stream of its own: the rows that are flipped have nothing to do with how the table was split.
    rng = np.random.default_rng([seed, 1])
    flipped = np.sort(rng.choice(rows, size=count, replace=False))
    y = table.y.copy()
    y[flipped] = (y[flipped] + rng.integers(1, len(table.classes), size=count)) % len(table.classes)
    note = f"{count} of {rows} training labels were flipped to another class"
    return dataclasses.replace(table, y=y, notes=(*table.notes, note)), flipped


@dataclass(frozen=True)
class _Source:
    """A table as it was read, and what to call it in messages."""

    name: str
    frame: pd.DataFrame
    notes: tuple[str, ...]


def _read(path: Path) -> _Source:
    """Read a CSV file as text: which columns hold numbers is decided on the whole training table, for both tables."""
    name = f"table {str(path)!r}"
    try:
        # Without header: pandas would rename repeated columns, and take the first for an index if rows are too long.
        raw = pd.read_csv(
            path,
            header=None,
            dtype=str,
            keep_default_na=False,
            na_values=_MISSING,
            skipinitialspace=True,
            encoding="utf-8-sig",
            compression=None,
        )
    except pd.errors.EmptyDataError:
        raise InvalidValueError(f"{name} is empty: expected a header line and rows.") from None
    except OSError as error:
        raise InvalidValueError(f"{name} cannot be read ({error.strerror or error}): check the path.") from error
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InvalidValueError(
            f"{name} is not a CSV file with commas, in UTF-8 ({str(error).strip()}): convert it."
        ) from error
    header = raw.iloc[0]
    named = header.notna()
    notes = () if named.all() else (f"{name}: columns without a name were ignored (a row index, mostly)",)
    frame = raw.iloc[1:].loc[:, named.to_numpy()].reset_index(drop=True)
    frame.columns = pd.Index([str(column).strip() for column in header[named]])
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidValueError(f"{name} has two columns {twice!r}: give every column a name of its own.")
    if len(frame) == 0:
        raise InvalidValueError(
            f"{name} has no rows below its header: two training rows and one test row are the least."
        )
    return _Source(name, frame, notes)


def _table(
    train: _Source,
    test: _Source | None,
    label: str,
    group: str | None,
    task: Task | None,
    seed: int,
    *,
    n_test: int,
    most_test: int | None = None,
) -> Table:
    """Make the arrays; without ``test``, ``n_test`` rows are set aside for it, at most ``most_test`` of them used."""
    if len(train.frame) < 2:
        raise InvalidValueError(f"{train.name} has one row: at least two are needed to compare their values.")
    notes = [*train.notes, *(test.notes if test else ())]
    for source in (train, test):
        if source is not None:
            _check_complete(source)
    task = task or _guess_task(train.frame[label])
    classes: tuple[str, ...] = ()
    if task == "classification":
        classes = _classes(train, label)

    features = train.frame.drop(columns=[label] if group is None else [label, group])
    numeric = [column for column in features if _numbers(features[column]) is not None]
    textual = [column for column in features if column not in numeric]
    notes += [note for column in textual for note in _mixed(train, column)]
    x = _typed(train, numeric, textual)
    y = _target(train, label, classes)
    owners = None if group is None else train.frame[group].to_numpy(dtype=str)
    if test is None:
        owner = np.zeros(len(y), dtype=np.int64) if owners is None else np.unique(owners, return_inverse=True)[1]
        strata = owner * len(classes) + y if classes else owner
        rows, rows_test = _split(strata, n_test, seed)
        rows_test = rows_test if most_test is None else np.sort(_evenly(rows_test, min(most_test, len(rows_test))))
        if len(rows_test) == 0:
            raise InvalidValueError(
                f"{train.name} has {len(train.frame)} rows, too few to set some aside for testing: give a test table."
            )
        x_test, y_test = x.iloc[rows_test], y[rows_test]
        x, y = x.iloc[rows], y[rows]
        notes.append(f"{train.name}: split by the seed into {len(rows)} training and {len(rows_test)} test rows")
    else:
        rows = np.arange(len(x))
        x_test, y_test = _typed(test, numeric, textual), _target(test, label, classes)
    if not classes:
        scaler = StandardScaler().fit(y[:, None])
        if scaler.var_[0] == 0:
            raise InvalidValueError(
                f"label column {label!r} of {train.name} has the single value {y[0]:g} in training: at least "
                f"two are needed to learn anything."
            )
        y, y_test = scaler.transform(y[:, None])[:, 0], scaler.transform(y_test[:, None])[:, 0]
    encoder = ColumnTransformer(
        [
            ("numbers", StandardScaler(), numeric),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), textual),
        ]
    )
    return Table(
        x=np.asarray(encoder.fit_transform(x), dtype=np.float64),
        y=y,
        x_test=np.asarray(encoder.transform(x_test), dtype=np.float64),
        y_test=y_test,
        players=rows if owners is None else owners[rows],
        classes=classes,
        notes=tuple(notes),
    )


def _check_complete(source: _Source) -> None:
    for column in source.frame:
        missing = source.frame[column].isna().to_numpy()
        if missing.any():
            raise InvalidValueError(
                f"{source.name} has {_entries(missing)} in column {column!r} missing, {_first(missing)}: fill them in, "
                f"or drop those rows."
            )


def _numbers(column: pd.Series) -> NDArray[np.float64] | None:
    """Return the entries as numbers, or ``None`` if any of them is none."""
    numbers: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return None if np.isnan(numbers).any() else numbers


def _finite_numbers(source: _Source, column: str, advice: str) -> NDArray[np.float64]:
    """Return a column that must hold finite numbers."""
    numbers = pd.to_numeric(source.frame[column], errors="coerce").to_numpy(dtype=np.float64)
    text = np.isnan(numbers)
    if text.any():
        entry = source.frame[column].iloc[int(text.argmax())]
        raise InvalidValueError(
            f"column {column!r} of {source.name} must hold numbers, but has {_entries(text)} of text, {_first(text)}: "
            f"{entry!r}; {advice}."
        )
    infinite = np.isinf(numbers)
    if infinite.any():
        raise InvalidValueError(
            f"column {column!r} of {source.name} has {_entries(infinite)} with infinity, {_first(infinite)}: expected "
            f"finite numbers; correct or drop those rows."
        )
    huge = np.abs(numbers) > _LARGEST
    if huge.any():
        raise InvalidValueError(
            f"column {column!r} of {source.name} has {_entries(huge)} beyond {_LARGEST:g}, {_first(huge)}: expected "
            f"numbers whose squares can be summed; correct or rescale them."
        )
    return numbers


def _typed(source: _Source, numeric: Sequence[str], textual: Sequence[str]) -> pd.DataFrame:
    """Return the features with numbers as float64 and categories as text, as the training table has them."""
    advice = "the training table has numbers there; correct those rows"
    columns: dict[str, Any] = {column: _finite_numbers(source, column, advice) for column in numeric}
    columns |= {column: source.frame[column].to_numpy(dtype=object) for column in textual}
    return pd.DataFrame(columns)


def _mixed(source: _Source, column: str) -> list[str]:
    """Return a note about a column of categories that may have been meant as numbers."""
    text = pd.to_numeric(source.frame[column], errors="coerce").isna().to_numpy()
    entry = source.frame[column].iloc[int(text.argmax())]
    count = source.frame[column].nunique()
    if text.all():
        few = count <= MANY_CATEGORIES
        return [] if few else [f"column {column!r} is text ({entry!r}): it was taken as {count} categories"]
    return [f"column {column!r} mixes numbers with text ({entry!r}): it was taken as {count} categories"]


def _guess_task(label: pd.Series) -> Task:
    numbers = _numbers(label)
    if numbers is None:
        return "classification"
    whole = bool((numbers == np.round(numbers)).all())
    return "classification" if whole and len(np.unique(numbers)) <= MAX_CLASSES else "regression"


def _class_names(label: pd.Series) -> list[str]:
    """Return the class of every row as text, the same for "1", "1.0" and 1."""
    numbers = _numbers(label)
    if numbers is None:
        return [str(entry) for entry in label]
    return [np.format_float_positional(number, trim="-") for number in numbers]


def _classes(train: _Source, label: str) -> tuple[str, ...]:
    """Return the names of the classes in training, sorted as numbers where they are numbers."""
    column = train.frame[label]
    numbers, names = _numbers(column), _class_names(column)
    order = np.argsort(np.array(names) if numbers is None else numbers, kind="stable")
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


def _target(source: _Source, label: str, classes: tuple[str, ...]) -> NDArray[Any]:
    """Return the labels: indices of classes, or numbers."""
    if not classes:
        return _finite_numbers(source, label, "a regression needs numbers; correct those rows, or use --model logistic")
    number = {name: index for index, name in enumerate(classes)}
    y = np.array([number.get(name, -1) for name in _class_names(source.frame[label])], dtype=np.int64)
    unknown = y < 0
    if unknown.any():
        name = _class_names(source.frame[label])[int(unknown.argmax())]
        raise InvalidValueError(
            f"{source.name} has class {name!r}, {_first(unknown)}, which the training table lacks (it has "
            f"{_shortened(classes)}): drop those test rows, or add training rows of that class."
        )
    return y


def _split(strata: NDArray[np.int64], n_test: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training and test rows, each sorted: random within a stratum, spread evenly over the strata.

    One row of every stratum stays in training, so that no class is tested that was not trained, and every group has a
    value; where that leaves fewer than ``n_test`` rows, there are fewer to test on.
    """
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    rest = np.delete(order, np.unique(strata[order], return_index=True)[1])
    test = np.sort(_evenly(rest, min(n_test, len(rest))))
    return np.setdiff1d(order, test), test


def _evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return ``count`` of the rows, in even steps."""
    return rows[np.arange(count) * len(rows) // max(count, 1)]


def _entries(which: NDArray[np.bool_]) -> str:
    return "1 entry" if which.sum() == 1 else f"{int(which.sum())} entries"


def _first(which: NDArray[np.bool_]) -> str:
    return f"first in row {int(which.argmax())} (counted from 0)"


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
