"""What the command line advises about options that it refuses, followed to the letter."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from unittest import mock

import pytest
from advice import ROOT, Case, check, without_a_case
from typed import NUMBERED, TRAIN, VALUE, good, printed, refused, values, write

#: Those of tables, of models and of language models are followed in files of their own.
OTHERS = (
    "models",
    "columns",
    "decoding",
    "flip",
    "labels",
    "numbers",
    "sources",
    "split",
    "tables",
    "examples",
    "text",
)
FILES = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "unshap_plugin" / "cli").glob("*.py"))
    if path.stem.strip("_") not in OTHERS
]
ROWS = ("value", "train.csv", "--test", "test.csv", "--label", "y", "--budget", "100")
SOME = ("--valued", "acme", "bolt")
PARTIAL = (*VALUE, *SOME, "--access", "partial")
TUNE = ("tune", *VALUE[1:], "--unlearner", "newton", "--grid")


def fails(*command, train=TRAIN, **files):
    """Return what writes tables and files and types a command that is refused."""

    def run():
        _prepare(train, files)
        refused(*command)

    return run


def works(*command, train=TRAIN, players=3, out="values", **files):
    """Return what types a command as was advised, and finds values for so many players or more."""

    def run():
        _prepare(train, files)
        found = values(*command, out=out)
        assert len(found) >= players
        assert any(found.values())

    return run


def same(*command, out="values"):
    """Return what types a command as was advised, and finds the values of the good one."""

    def run():
        expected = good()
        _prepare(TRAIN, {})
        assert values(*command, out=out) == expected

    return run


def _prepare(train, files):
    write(train, others=TRAIN)
    for name, content in files.items():
        Path(name).write_text(content)


def stored(*command):
    """Return what writes sums, and then types a command that reads them."""

    def run():
        _prepare(TRAIN, {})
        printed(*VALUE, "--save-artifacts", "sums")
        found = values(*command)
        assert all(found.values())

    return run


def beside_an_audit(*command):
    """Return what audits first, and then types a command that is refused."""

    def run():
        _prepare(TRAIN, {})
        for name in ("audit.csv", "audit.json", "audit.png"):
            Path("there").mkdir(exist_ok=True)
            Path("there", name).touch()
        refused(*command)

    return run


def moved():
    beside = Path("elsewhere")
    beside.mkdir(exist_ok=True)
    for path in Path("there").glob("audit.*"):
        path.replace(beside / path.name)
    assert values(*VALUE, "--out", "there", out="there") == good()


def full(*command):
    """Return what types a command while nothing can be written any more."""

    def run():
        _prepare(TRAIN, {})
        with mock.patch("unshap_plugin.cli._output.Path.mkdir", side_effect=OSError(28, "No space left on device")):
            refused(*command, prints="v(all)")

    return run


def listed():
    """Fill a store, and list it as was advised."""
    _prepare(TRAIN, {})
    printed(*VALUE, "--store", "values.db")
    assert "newton" in printed("store", "values.db")


def without(package, *command):
    """Return what types a command where a package is not installed."""

    def run():
        _prepare(TRAIN, {})
        with mock.patch.dict(sys.modules, {package: None}):
            refused(*command)

    return run


def an_extra_brings_distributed():
    needed = importlib.metadata.requires("unshap-plugin") or []
    assert any(re.match(r"distributed\b.*extra == .dask", one) for one in needed)


def without_opendataval():
    hidden = {name: None for name in sys.modules if name.startswith(("opendataval", "unshap_opendataval"))}
    installed = mock.patch("unshap_plugin.frameworks.version", return_value="1.3.0")  # but it cannot be imported
    with installed, mock.patch.dict(sys.modules, {"opendataval": None, **hidden}):
        refused("opendataval", "run")


def an_extra_brings_opendataval():
    needed = importlib.metadata.requires("unshap-plugin") or []
    assert any(re.match(r"opendataval\b.*extra == .opendataval", one) for one in needed)


def others(*command):
    """Return what types a command as was advised, and finds values, which do not add up."""

    def run():
        _prepare(TRAIN, {})
        assert "they do not add up" in printed(*command)

    return run


def _audited(*command, code=0):
    def run():
        _prepare(TRAIN, {})
        assert "verdict " in printed(*command) or "audit " in printed(*command)

    return run


def a_grid(values_):
    def run():
        _prepare(TRAIN, {})
        assert "best         --unlearner newton --setting steps=" in printed(*TUNE, values_)

    return run


CASES = [
    Case(
        "no data",
        fails("value"),
        "give a table and its label column (train.csv --label y), or --example NAME",
        (
            works(*ROWS[:6], "--budget", "100", train=TRAIN.drop(columns="who")),
            works("value", "--example", "iris", "--valued", "1", "2", "3"),
        ),
    ),
    Case("no label", fails("value", "train.csv"), "add --label COLUMN", (same(*VALUE),)),
    Case(
        "an example and a table",
        fails("value", "--example", "iris", "--label", "y"),
        "leave one out",
        (
            works("value", "--example", "iris", "--valued", "1", "2", "3"),
            same(*VALUE),
        ),
    ),
    Case(
        "a model and another task",
        fails(*VALUE, "--model", "ridge", "--task", "classification"),
        "leave one out",
        (
            same(*VALUE, "--task", "classification"),
            works("value", "train.csv", *VALUE[4:], "--model", "ridge", train=NUMBERED),
        ),
    ),
    Case(
        "a single group",
        fails(*VALUE, train=TRAIN.assign(who="acme")),
        "leave out --group to value the rows",
        (works(*ROWS, players=24, train=TRAIN.drop(columns="who")),),
    ),
    Case(
        "a metric for numbers",
        fails(*VALUE, "--metric", "r2"),
        "use one of log_likelihood, accuracy, neg_loss",
        tuple(works(*VALUE, "--metric", name) for name in ("log_likelihood", "accuracy", "neg_loss")),
    ),
    Case(
        "a metric for classes",
        fails("value", "train.csv", *VALUE[4:], "--metric", "accuracy", train=NUMBERED),
        "use one of neg_mean_squared_error, r2, neg_loss",
        tuple(
            works("value", "train.csv", *VALUE[4:], "--metric", name, train=NUMBERED)
            for name in ("neg_mean_squared_error", "r2", "neg_loss")
        ),
    ),
    Case(
        "a group without groups",
        fails(*ROWS, "--valued", "acme", train=TRAIN.drop(columns="who")),
        "give --group, or row numbers such as 0",
        (
            works(*VALUE, "--valued", "acme", players=1),
            works(*ROWS, "--valued", "0", players=1, train=TRAIN.drop(columns="who")),
        ),
    ),
    Case(
        "a row that is set aside",
        fails("value", "train.csv", "--label", "y", "--valued", "1", "23", train=TRAIN.drop(columns="who")),
        "name training rows, or give other rows to test on with --test",
        (
            works(
                "value", "train.csv", "--label", "y", "--valued", "1", "2", players=2, train=TRAIN.drop(columns="who")
            ),
            works(*ROWS, "--valued", "1", "23", players=2, train=TRAIN.drop(columns="who")),
        ),
    ),
    Case(
        "a row that is not there",
        fails(*ROWS, "--valued", "1", "24", train=TRAIN.drop(columns="who")),
        "the first of the 24 training rows are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9: name training rows.",
        (works(*ROWS, "--valued", "1", "2", players=2, train=TRAIN.drop(columns="who")),),
    ),
    Case(
        "rows to flip among groups",
        fails(*VALUE, "--flip", "0.1"),
        "leave one out",
        (
            same(*VALUE),
            works(*ROWS, "--flip", "0.1", players=24, train=TRAIN.drop(columns="who")),
        ),
    ),
    Case(
        "sums with full access",
        fails(*VALUE, *SOME, "--artifacts", "sums"),
        "leave it out, or add --access partial",
        (
            works(*VALUE, *SOME, players=2),
            stored(*PARTIAL, "--artifacts", "sums"),
        ),
    ),
    Case(
        "partial access to everything",
        fails(*VALUE, "--access", "partial"),
        ("add --valued GROUP, or leave out --access"),
        (works(*PARTIAL, players=2), same(*VALUE)),
    ),
    Case(
        "sums of what is hidden",
        fails(*PARTIAL, "--save-artifacts", "sums"),
        "leave one out",
        (
            works(*PARTIAL, players=2),
            works(*VALUE, *SOME, "--save-artifacts", "sums", players=2),
        ),
    ),
    Case(
        "an audit of what is hidden",
        fails(*PARTIAL, "--audit", "8"),
        "leave one out",
        (
            works(*PARTIAL, players=2),
            works(*VALUE, *SOME, "--audit", "4", players=2),
        ),
    ),
    Case(
        "retraining on what is hidden",
        fails(*PARTIAL, "--retrain", "4"),
        "--retrain retrains on all training rows, but --access partial hides most of them: leave one out",
        (
            works(*PARTIAL, players=2),
            works(*VALUE, *SOME, "--retrain", "4", players=2),
        ),
    ),
    Case(
        "a setting twice",
        fails(*VALUE, "--setting", "steps=3", "--setting", "steps=4"),
        "leave one out",
        (
            works(*VALUE, "--setting", "steps=3"),
            works(*VALUE, "--setting", "steps=4"),
        ),
    ),
    Case(
        "a grid twice",
        fails(*TUNE, "steps=1", "--grid", "steps=2"),
        "leave one out",
        (
            a_grid("steps=1"),
            a_grid("steps=2"),
        ),
    ),
    Case(
        "an output folder that is a file",
        fails(*VALUE, "--out", "train.csv"),
        "give another --out",
        (same(*VALUE, "--out", "new/one", out="new/one"),),
    ),
    Case(
        "results that cannot be written",
        full(*VALUE, "--out", "new"),
        "give another --out",
        (same(*VALUE, "--out", "another", out="another"),),
    ),
    Case(
        "results of another command",
        beside_an_audit(*VALUE, "--out", "there"),
        ("give another --out, or move that file away"),
        (same(*VALUE, "--out", "another", out="another"), moved),
    ),
    Case(
        "sums in the place of a result",
        lambda: (Path("values").mkdir(exist_ok=True), fails(*VALUE, "--save-artifacts", "values/result.json")()),
        ("give another --save-artifacts"),
        (same(*VALUE, "--save-artifacts", "sums"),),
    ),
    Case(
        "sums in the place of a table",
        fails(*VALUE, "--save-artifacts", "train.csv"),
        ("give another --save-artifacts"),
        (same(*VALUE, "--save-artifacts", "sums"),),
    ),
    Case(
        "results in the place of a table",
        fails("value", "values/values.csv", *VALUE[2:]),
        "give another --out",
        (
            lambda: (
                _prepare(TRAIN, {}),
                Path("in").mkdir(exist_ok=True),
                TRAIN.to_csv("in/values.csv", index=False),
                values("value", "in/values.csv", *VALUE[2:], "--out", "another", out="another"),
            ),
        ),
    ),
    Case(
        "sums in a folder",
        fails(*VALUE, "--save-artifacts", "."),
        "give the path of a file",
        (same(*VALUE, "--save-artifacts", "sums"),),
    ),
    Case(
        "sums in no folder",
        fails(*VALUE, "--save-artifacts", "no/sums"),
        "give the path of a file",
        (same(*VALUE, "--save-artifacts", "sums"),),
    ),
    Case(
        "no store",
        fails("store", "none.db"),
        "give a file that --store wrote",
        (listed,),
    ),
    Case(
        "no OpenDataVal",
        without_opendataval,
        "run pip install 'unshap-plugin[opendataval]'",
        (an_extra_brings_opendataval,),
    ),
    Case(
        "jobs on a cluster",
        fails(*VALUE, "--scheduler", "tcp://127.0.0.1:8786", "--jobs", "1"),
        "leave one out",
        (works(*VALUE, "--jobs", "1"),),
    ),
    Case(
        "a semivalue without its parameters",
        fails(*VALUE, "--semivalue", "beta"),
        "give them, such as beta:4,1",
        (others(*VALUE, "--semivalue", "beta:4,1"),),
    ),
    Case(
        "money by values that do not add up",
        fails(*VALUE, "--semivalue", "banzhaf", "--pay", "100"),
        "leave one out",
        (others(*VALUE, "--semivalue", "banzhaf"), works(*VALUE, "--pay", "100")),
    ),
    Case(
        "an estimator of Shapley values alone",
        fails(*VALUE, "--semivalue", "banzhaf", "--estimator", "permutation"),
        "use one of auto, exact, stratified",
        tuple(
            others(*VALUE, "--semivalue", "banzhaf", "--estimator", name) for name in ("auto", "exact", "stratified")
        ),
    ),
    Case(
        "rules that end what is computed",
        fails(*VALUE, "--semivalue", "loo", "--max-time", "9"),
        "--target-error, --max-time and --stable-top end an estimate on its way, but leave-one-out values are "
        "computed, not estimated: leave them out",
        (others(*VALUE, "--semivalue", "loo"),),
    ),
    Case(
        "an estimator of what is computed",
        fails(*VALUE, "--semivalue", "loo", "--estimator", "exact"),
        "leave it out",
        (others(*VALUE, "--semivalue", "loo"),),
    ),
    Case(
        "a semivalue as an estimator",
        fails(*VALUE, "--estimator", "loo"),
        "--semivalue loo has them",
        (others(*VALUE, "--semivalue", "loo"),),
    ),
    Case(
        "no dask",
        without("distributed", *VALUE, "--scheduler", "tcp://127.0.0.1:8786"),
        "install unshap-plugin[dask]",
        (an_extra_brings_distributed,),
    ),
]
#: What a cluster is needed for is followed beside the tests of clusters.
ELSEWHERE = (
    "would be among the",  # a folder of text: beside the tests of reports
    "OpenDataVal failed with",
    "no dask scheduler answers",
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_advised_about_options_helps(case):
    check(case)


def test_every_advice_about_options_is_followed():
    # What it says where OpenDataVal itself fails is followed in the tests of adapters, which have it installed.
    assert without_a_case(FILES, CASES, ELSEWHERE) == []
