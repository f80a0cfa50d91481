"""Commands that tests type: the values that one wrote, what it printed, or the error that it was refused with."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import numpy as np
import pandas as pd

from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli.main import main
from unshap_plugin.errors import UnshapError
from unshap_plugin.results.result import ValuationResult


def _frame(seed: int, rows: int) -> pd.DataFrame:
    """Two features, of which one decides a label: as text, so that what is written is what was meant."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 2)).round(3), columns=["a", "b"])
    frame["y"] = np.where(frame["a"] + 0.5 * rng.normal(size=rows) > 0, "yes", "no")
    return frame.astype(str)


#: Three providers of eight rows, and rows to test on.
TRAIN = _frame(0, 24).assign(who=np.resize(["acme", "bolt", "cairn"], 24))
TEST = _frame(1, 30)
#: What makes numbers of the labels, the mean of which is not zero.
NUMBERED = TRAIN.assign(y=(TRAIN["a"].astype(float) + 5).round(3).astype(str))
COLUMNS = ("--label", "y", "--group", "who")
VALUE = ("value", "train.csv", "--test", "test.csv", *COLUMNS)


def write(train: pd.DataFrame = TRAIN, test: pd.DataFrame = TEST, **others: pd.DataFrame) -> None:
    """Write tables into the working directory, each under its name."""
    for name, frame in {"train": train, "test": test, **others}.items():
        frame.to_csv(f"{name}.csv", index=False)


def changed(frame: pd.DataFrame, column: str, entry: str, row: int = 0) -> pd.DataFrame:
    """Return a table with another entry."""
    frame = frame.copy()
    frame.loc[row, column] = entry
    return frame


def each(frame: pd.DataFrame, column: str, change: Any) -> pd.DataFrame:
    """Return a table with all numbers of a column changed."""
    return frame.assign(**{column: [repr(float(change(float(entry)))) for entry in frame[column]]})


def refused(*argv: str, prints: str = "") -> NoReturn:
    """Type a command that is refused; raise what was printed, from the error that it was.

    Values are ``prints``-ed before that where only their files cannot be written.
    """
    caught: list[BaseException] = []

    def spied(message: str, given: Any) -> str:
        caught.extend(one for one in sys.exc_info()[1:2] if isinstance(one, BaseException))
        return in_options(message, given)

    with mock.patch("unshap_plugin.cli.main.in_options", spied):
        code, out, err = _run(argv)
    assert code == 2, f"{code}: {out or err}"
    assert prints in out if prints else out == "", out
    said = [line for line in err.splitlines() if not line.startswith("unshap: warning: ")]
    assert len(said) == 1, err
    raise UnshapError(said[0]) from caught[-1]


def printed(*argv: str, code: int = 0) -> str:
    """Type a command that succeeds, and return all that it printed, notes and warnings included."""
    done, out, err = _run(argv)
    assert done == code, err
    return out + err


def values(*argv: str, out: str = "values") -> dict[str, float]:
    """Type a command that values; return the values by player, which are finite and add up."""
    printed(*argv)
    result = json.loads(Path(out, "result.json").read_text(encoding="utf-8"))
    found = pd.read_csv(Path(out, "values.csv"), dtype={"player": str})
    assert np.isfinite(found["value"]).all()
    assert abs(found["value"].sum() - (result["utility_all"] - result["utility_none"])) < 1e-9
    return dict(zip(found["player"], found["value"], strict=True))


def settled(name: str, out: str = "values") -> Any:
    """Return a field of the result that was written last."""
    return json.loads(Path(out, "result.json").read_text(encoding="utf-8"))[name]


def near(one: dict[str, float], other: dict[str, float], tolerance: float = 1e-9) -> bool:
    """Tell whether values are those of the same players, and the same."""
    return one.keys() == other.keys() and all(abs(one[key] - other[key]) <= tolerance for key in one)


@functools.cache
def good() -> dict[str, float]:
    """Return the values of the tables as they should be, which takes the place of those that are there."""
    write()
    return values(*VALUE)


def _run(argv: tuple[str, ...]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    # Pictures take longer than all the rest, and no advice is about them.
    pictures = (mock.patch.object(kind, "plot", return_value="") for kind in (ValuationResult, FidelityReport))
    with contextlib.ExitStack() as stack:
        for one in (*streams, *pictures, warnings.catch_warnings()):
            stack.enter_context(one)
        warnings.simplefilter("always")  # they are printed, and part of what is read
        code = main([*argv])
    return code, out.getvalue(), err.getvalue()
