"""The harness of the benchmarks: turns, medians, failures, reports."""

from __future__ import annotations

import doctest
import json

import numpy as np
import pytest
from harness import figures, report, timing
from harness.report import Report, Table, machine, number, versions
from harness.timing import NotRun, alternate, checked


def ticking(step):
    """A clock that moves by a step at each look."""
    now = [0.0]

    def clock():
        now[0] += step
        return now[0]

    return clock


def test_runs_take_turns_and_every_other_round_is_reversed():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    alternate(runs, 3)
    assert "".join(order) == "abc" + "cba" + "abc"


def test_seconds_are_those_of_the_clock_and_the_median_is_theirs():
    seconds, now = iter([5.0, 1.0, 2.0]), [0.0]

    def work():
        now[0] += next(seconds)
        return now[0]

    timed = alternate({"work": work}, 3, clock=lambda: now[0], cpu_clock=lambda: now[0] / 2)["work"]
    assert timed.seconds == (5.0, 1.0, 2.0)
    assert timed.cpu == (2.5, 0.5, 1.0)
    assert timed.median_cpu == 1.0
    assert timed.results == (5.0, 6.0, 8.0)
    assert timed.median == 2.0


def test_a_failure_has_no_numbers_and_stops_no_other_run():
    calls = []

    def fails_late():
        calls.append(None)
        if len(calls) > 1:
            raise RuntimeError("a first line\nthe matrix is singular")

    done = alternate({"late": fails_late, "fine": lambda: 7}, 4, clock=ticking(1.0))
    assert done["late"].failure == "RuntimeError: the matrix is singular"
    assert done["late"].seconds == done["late"].cpu == done["late"].results == ()
    assert done["late"].median is None
    assert len(calls) == 2
    assert done["fine"].results == (7, 7, 7, 7)
    assert done["fine"].failure is None


def test_what_is_not_run_says_why():
    def absent():
        raise NotRun("pyDVL is not installed")

    assert alternate({"absent": absent}, 2)["absent"].failure == "not run: pyDVL is not installed"


def test_interrupts_are_not_failures():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        alternate({"stop": stop}, 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [([1.0, np.nan, 2.0], "1 of 3 values are not finite"), ([1.0, 2.0], "gave 2 values for 3 players")],
)
def test_values_that_are_none_are_a_failure(values, said):
    done = alternate({"peer": lambda: checked(values, 3)}, 1)
    assert said in done["peer"].failure
    assert done["peer"].median is None


def kept(rows):
    return Report("speed", "python benchmarks/run.py speed", {"rounds": 3}, [0, 1], rows)


def test_a_report_comes_back_as_it_was(tmp_path):
    one = kept([{"method": "newton", "seconds": 0.1 + 0.2}, {"method": "peer", "failure": "TypeError: no"}])
    one.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == one
    assert one.machine == machine()
    assert one.versions == versions()
    assert {"processor", "cores", "threads"} <= set(one.machine)
    assert {"python", "torch", "unshap-plugin"} <= set(one.versions)


def test_a_number_that_is_none_cannot_be_kept(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        kept([{"method": "peer", "seconds": float("nan")}]).save(tmp_path / "report.json")


@pytest.mark.parametrize("text", ["{}", "[]", json.dumps({"format": "unshap-result/3"})])
def test_other_files_are_no_reports(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is no report of a benchmark"):
        Report.load(path)


def test_where_it_ran_is_one_sentence():
    said = kept([]).where()
    assert said.endswith(".")
    assert "torch" in said
    assert "thread" in said


def test_tables_are_markdown_and_text():
    table = Table("Seconds.", ["method", "seconds"], [["a|b", number({"seconds": 1.0}, "seconds", ".1f")], ["c", ""]])
    assert table.markdown() == "Seconds.\n\n| method | seconds |\n|---|---|\n| a/b | 1.0 |\n| c |  |"
    assert table.text() == "Seconds.\nmethod  seconds\na|b     1.0\nc"


@pytest.mark.parametrize("module", [figures, report, timing], ids=lambda module: module.__name__)
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
