"""What errors of the core, and notes, advise on the command line can be typed there, and helps."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from advice import Case, check
from typed import COLUMNS, NUMBERED, TEST, TRAIN, VALUE, changed, good, near, printed, refused, settled, values, write

from unshap_plugin.errors import UnshapError

OWN = """
from sklearn.neighbors import KNeighborsClassifier
from sklearn.ensemble import RandomForestClassifier
import numpy as np

def many(d, c): return KNeighborsClassifier(10)
def few(d, c): return KNeighborsClassifier(3)
def seeded(d, c): return RandomForestClassifier(3, random_state=0)
def sampled(game, budget=None, seed=0): return None
"""
NUMBERS = ("value", "train.csv", *COLUMNS)
SOME = ("--valued", "acme", "bolt")
PARTIAL = (*VALUE, *SOME, "--access", "partial")
SPLIT = (*NUMBERS, *SOME, "--access", "partial", "--unlearner", "linear_exact")
ASCENT = (*VALUE, "--unlearner", "gradient_ascent")
WILD = ("--setting", "lr=1e6", "--setting", "steps=50")
TUNE = ("tune", *VALUE[1:], "--unlearner")
#: Without Python, whatever the error.
PYTHON = re.compile(r"\b(fit|loss|access|artifacts|unlearner|outputs|on_error|valued)=|Recipe|compute_artifacts|\.save")


def prepare(train=TRAIN, test=TEST, **others):
    write(train, test, **others)
    Path("own.py").write_text(OWN)
    sys.modules.pop("own", None)


def fails(*command, **tables):
    """Return what writes tables and types a command that is refused, in words that can be typed."""

    def run():
        prepare(**tables)
        with pytest.raises(UnshapError) as caught:
            refused(*command)
        assert PYTHON.search(str(caught.value)) is None
        raise caught.value

    return run


def works(*command, players=3, unlearner=None, first=(), **tables):
    """Return what types a command as was advised, after a first one, and finds finite values that are not nothing."""

    def run():
        prepare(**tables)
        if first:
            printed(*first)
        found = values(*command)
        assert len(found) == players
        assert any(found.values())
        assert unlearner in (None, settled("unlearner"))

    return run


def each_that_works(*command, names, **tables):
    return tuple(works(*command, "--unlearner", name, unlearner=name, **tables) for name in names.split(", "))


def damaged(*command, how):
    """Return what damages a file of sums and types a command that reads it."""

    def run():
        prepare()
        printed(*VALUE, "--save-artifacts", "sums")
        Path("sums").write_bytes(how(Path("sums").read_bytes()))
        fails(*command)()

    return run


def _flipped(raw):
    return raw[:-1] + bytes([raw[-1] ^ 1])


def sums_of(train, *model):
    """Return what writes sums of a table and a model, and types a command that reads them for the good one."""

    def run():
        prepare(train)
        printed(*VALUE, *model, "--save-artifacts", "sums")
        fails(*PARTIAL, "--artifacts", "sums")()

    return run


def tuned(*command, **tables):
    def run():
        prepare(**tables)
        said = printed(*command)
        best = re.search(r"best +--unlearner (\S+) (.*)", said)
        assert values(*VALUE, "--unlearner", best[1], *best[2].split())

    return run


WRITTEN = works(*PARTIAL, "--artifacts", "sums", players=2, first=(*VALUE, "--save-artifacts", "sums"))
STORED = "write it with --access full --save-artifacts FILE, and give that as --artifacts FILE"
TELLS = "give one that --save-artifacts FILE wrote"
NETWORKS = "npo, random_label, retrain, simnpo, ssd, task_vector"
FULL = f"finetune, graddiff, gradient_ascent, influence, merge, newton, {NETWORKS}"
OTHERS = FULL.replace("gradient_ascent, ", "")
HIDDEN = "anchored, gradient_ascent, npo, pseudo_background, random_label, reference_teacher, simnpo, task_vector"
MANY = pd.concat([TRAIN.assign(who=f"p{k}") for k in range(21)])
CONSTANT = NUMBERED.assign(y="5.1")
RETRAINED = (*VALUE, "--unlearner", "influence", "--retrain")

CASES = [
    Case(
        "too few retrainings",
        fails(*RETRAINED, "5"),
        "--retrain 5 are too few: values with standard errors need the utilities of none and of all of 3 players, and "
        "of two coalitions and their complements, 6 retrainings; give that.",
        (works(*RETRAINED, "6", unlearner="retrain"),),
    ),
    Case(
        "no number of retrainings",
        fails(*RETRAINED, "-1"),
        "--retrain is -1, but a whole number of at least 1 is needed.",
        (works(*RETRAINED, "8", unlearner="retrain"),),
    ),
    Case(
        "too few unlearned utilities beside retrainings",
        fails(*RETRAINED, "6", "--budget", "5"),
        "6 evaluations; give that.",
        (works(*RETRAINED, "6", "--budget", "6", unlearner="retrain"),),
    ),
    Case(
        "an estimator beside retrainings",
        fails(*RETRAINED, "6", "--estimator", "exact"),
        "estimator is 'exact', but values that retrainings correct have one of their own: leave it out, or leave out "
        "--retrain.",
        (
            works(*RETRAINED, "6", unlearner="retrain"),
            works(*RETRAINED[:-1], "--estimator", "exact", unlearner="influence"),
        ),
    ),
    Case(
        "retrainings of what retrains",
        fails(*VALUE, "--unlearner", "retrain", "--retrain", "6"),
        "use another --unlearner, or value the game without --retrain.",
        (
            works(*RETRAINED, "6", unlearner="retrain"),
            works(*VALUE, "--unlearner", "retrain", unlearner="retrain"),
        ),
    ),
    Case(
        "leave-one-out values and retrainings",
        fails(*RETRAINED, "6", "--semivalue", "loo"),
        "take --semivalue loo with --unlearner retrain, without --retrain.",
        (lambda: (prepare(), printed(*VALUE, "--semivalue", "loo", "--unlearner", "retrain")),),
    ),
    Case(
        "an unknown name",
        fails(*VALUE, "--unlearner", "scrub"),
        "expected one of: anchored, auto, finetune",
        (works(*VALUE, "--unlearner", "auto", unlearner="newton"),),
    ),
    Case(
        "sums that could stand in",
        fails(*PARTIAL, "--unlearner", "newton"),
        (f"{STORED}; unlearners that would work: {HIDDEN}."),
        (
            works(
                *PARTIAL,
                "--unlearner",
                "newton",
                "--artifacts",
                "sums",
                players=2,
                unlearner="newton",
                first=(*VALUE, "--access", "full", "--save-artifacts", "sums"),
            ),
            *each_that_works(*PARTIAL, names=HIDDEN, players=2),
        ),
    ),
    Case(
        "sums that could stand in, of numbers",
        fails(*SPLIT, train=NUMBERED),
        (f"a stored gram would do: {STORED}"),
        (
            works(
                *SPLIT,
                "--artifacts",
                "sums",
                train=NUMBERED,
                players=2,
                unlearner="linear_exact",
                first=(*NUMBERS, "--access", "full", "--save-artifacts", "sums"),
            ),
        ),
    ),
    Case(
        "sums that none can stand in for",
        fails(*PARTIAL, "--unlearner", "linear_exact"),
        f"has no RETAIN; unlearners that would work: {HIDDEN}",
        (*each_that_works(*PARTIAL, names=HIDDEN, players=2),),
    ),
    Case(
        "no reference",
        fails(*VALUE, "--unlearner", "anchored"),
        f"unlearners that would work: {FULL}",
        (*each_that_works(*VALUE, names=FULL),),
    ),
    Case(
        "no linear regression",
        fails(*VALUE, "--unlearner", "linear_exact"),
        f"unlearners that would work: {FULL}",
        (works(*NUMBERS, "--unlearner", "linear_exact", train=NUMBERED),),
    ),
    Case(
        "sums that are damaged",
        damaged(*PARTIAL, "--artifacts", "sums", how=_flipped),
        TELLS,
        (WRITTEN,),
    ),
    Case("sums that are cut", damaged(*PARTIAL, "--artifacts", "sums", how=lambda raw: raw[:50]), TELLS, (WRITTEN,)),
    Case("sums that are none", fails(*PARTIAL, "--artifacts", "test.csv"), TELLS, (WRITTEN,)),
    Case("sums that are not there", fails(*PARTIAL, "--artifacts", "nowhere"), TELLS, (WRITTEN,)),
    *(
        Case(
            f"sums of another {name}",
            fail,
            (
                "give the table, --model and --seed that they were written for, or write them anew with --access full "
                "--save-artifacts FILE"
            ),
            (way, WRITTEN),
        )
        for name, fail, way in (
            (
                "table",
                sums_of(changed(TRAIN, "a", "0.7")),
                works(
                    *PARTIAL,
                    "--artifacts",
                    "sums",
                    players=2,
                    train=changed(TRAIN, "a", "0.7"),
                    first=(*VALUE, "--save-artifacts", "sums"),
                ),
            ),
            (
                "model",
                sums_of(TRAIN, "--model", "mlp"),
                works(
                    *PARTIAL,
                    "--artifacts",
                    "sums",
                    "--model",
                    "mlp",
                    players=2,
                    first=(*VALUE, "--model", "mlp", "--save-artifacts", "sums"),
                ),
            ),
        )
    ),
    Case(
        "a group that is not there",
        fails(*VALUE, "--valued", "acm"),
        "(did you mean 'acme'?)",
        (works(*VALUE, "--valued", "acme", players=1),),
    ),
    Case(
        "too small a budget for all",
        fails(*VALUE, "--estimator", "exact", "--budget", "7"),
        "needs all 8 evaluations; give that",
        (works(*VALUE, "--estimator", "exact", "--budget", "8"),),
    ),
    Case(
        "too many players for all",
        fails(*VALUE, "--estimator", "exact", "--budget", "5", train=MANY),
        ("use --estimator stratified with --budget 6, or fewer players (groups)"),
        (
            works(*VALUE, "--estimator", "stratified", "--budget", "6", train=MANY, players=21),
            works(*VALUE, "--estimator", "exact", "--budget", "9"),
        ),
    ),
    Case(
        "too small a budget",
        fails(*VALUE, "--estimator", "permutation", "--budget", "9"),
        ("need two antithetic pairs, 10 evaluations; give that, or use --estimator exact with --budget 8"),
        (
            works(*VALUE, "--estimator", "permutation", "--budget", "10"),
            works(*VALUE, "--estimator", "exact", "--budget", "8"),
        ),
    ),
    Case(
        "too few coalitions to audit",
        fails(*VALUE, "--audit", "2"),
        "give at least 6",
        (works(*VALUE, "--audit", "6"),),
    ),
    Case(
        "too few coalitions",
        fails("audit", *VALUE[1:], "--coalitions", "2"),
        "give at least 6",
        (lambda: (prepare(), printed("audit", *VALUE[1:], "--coalitions", "6")),),
    ),
    Case(
        "nothing to tune",
        fails(*TUNE, "retrain"),
        "use it as it is",
        (works(*VALUE, "--unlearner", "retrain", unlearner="retrain"),),
    ),
    Case(
        "one player to tune on",
        fails(*TUNE, "newton", "--valued", "acme"),
        "value at least two",
        (tuned(*TUNE, "newton", *SOME),),
    ),
    Case(
        "nothing tells",
        fails(*TUNE, "newton", "--metric", "accuracy", "--valued", "6", "7", train=TRAIN.assign(who=range(24))),
        "use a smoother metric, or larger groups",
        (
            tuned(
                *(*TUNE, "newton", "--metric", "log_likelihood", "--valued", "6", "7"),
                train=TRAIN.assign(who=range(24)),
            ),
            tuned(*TUNE, "newton", "--metric", "accuracy"),
        ),
    ),
    Case(
        "candidates that diverge",
        fails(*TUNE, "gradient_ascent", "--grid", "lr=1e5,1e6", "--setting", "steps=50"),
        ("use a smaller lr, or another --unlearner"),
        (
            tuned(*TUNE, "gradient_ascent", "--grid", "lr=1e-3,1e-2", "--setting", "steps=50"),
            tuned(*TUNE, "newton", "--grid", "steps=1,2"),
        ),
    ),
    Case(
        "what diverges",
        fails(*ASCENT, *WILD),
        f"use a smaller lr, or another --unlearner ({OTHERS})",
        (
            works(*ASCENT, "--setting", "lr=1e-3", *WILD[2:]),
            *each_that_works(*VALUE, names=OTHERS),
        ),
    ),
    Case(
        "a model that few rows are not enough for",
        fails(*VALUE, "--model", "own:many"),
        ("use a model that can be trained on few rows, or larger groups"),
        (
            works(*VALUE, "--model", "own:few"),
            works(*VALUE, "--model", "own:many", train=TRAIN.assign(who=np.resize(["acme", "bolt"], 24)), players=2),
        ),
    ),
    Case(
        "targets that are equal",
        fails(*VALUE, "--metric", "r2", train=NUMBERED, test=CONSTANT),
        ("use 'neg_mean_squared_error'"),
        (works(*VALUE, "--metric", "neg_mean_squared_error", train=NUMBERED, test=CONSTANT),),
    ),
    Case(
        "a scorer of classes",
        fails(*NUMBERS, "--metric", "f1", train=NUMBERED),
        "use a metric that matches",
        (works(*NUMBERS, "--metric", "r2", train=NUMBERED),),
    ),
    Case(
        "reference rows that are test rows",
        fails(*PARTIAL, "--reference", "test.csv"),
        "give other rows",
        (works(*PARTIAL, "--reference", "other.csv", players=2, other=TEST.assign(a="9.5")),),
    ),
    Case(
        "an object that is not known",
        lambda: refused("conformance", "a.b"),
        "or package.module:object for one of your own",
        (lambda: (prepare(), printed("conformance", "own:sampled", code=1)),),
    ),
    Case(
        "no object",
        lambda: refused("conformance", "own:"),
        "write it as package.module:name",
        (lambda: (prepare(), printed("conformance", "own:sampled", code=1)),),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_core_advises_helps_on_the_command_line(case):
    check(case)


def test_a_module_whose_folder_is_put_on_the_path_is_found(monkeypatch):
    Path("there").mkdir()
    Path("there", "elsewhere.py").write_text(OWN)
    with pytest.raises(UnshapError, match="put its folder on the path"):
        refused("conformance", "elsewhere:sampled")
    monkeypatch.syspath_prepend("there")
    assert printed("conformance", "elsewhere:sampled", code=1).startswith("sampled: ")
    sys.modules.pop("elsewhere", None)


def noted(words, *command, **tables):
    """Type a command and return the note with these words, or nothing."""
    prepare(**tables)
    sentences = ("note: ", "audit  ", "verdict ", "failed")
    said = [line for line in printed(*command).splitlines() if line.startswith(sentences)]
    assert not any(PYTHON.search(line) for line in said), said
    return "".join(line for line in said if words in line)


FORGETS = "the unlearner hardly forgets"
BAD = "is far below every other utility"
LACKS = "but none of some class"
SEEN = "test rows are training rows too"
SPECIALISTS = pd.concat([TRAIN.assign(who=TRAIN["y"] + "-1"), TRAIN.assign(who=TRAIN["y"] + "-2", a=TRAIN["b"])])


def test_an_unlearner_that_hardly_forgets_is_named_and_what_is_advised_forgets():
    note = noted(FORGETS, *ASCENT)
    assert note.endswith(", and see with --audit N how far it is from retraining.")
    others = re.search(r"use another --unlearner \(([^()]*)\)", note)[1].split(", ")
    assert "newton" in others
    assert noted(FORGETS, *VALUE, "--unlearner", "newton") == ""
    assert "off by" in noted("audit  ", *ASCENT, "--audit", "8")


def test_a_verdict_of_no_use_advises_options_that_help():
    idle = ["--unlearner", "gradient_ascent", "--setting=steps=1", "--setting=lr=1e-9"]
    for command in ([*VALUE, "--audit", "8"], ["audit", *VALUE[1:], "--out", "audited"]):
        note = noted(": use ", *command, *idle)
        others = re.search(r"use another --unlearner \(([^()]*)\) or other values of --setting$", note)[1].split(", ")
        for way in (["--unlearner", "newton"], idle[:2]):
            assert way[1] in [*others, "gradient_ascent"]
            assert noted(": use another", *command, *way) == ""


def test_utilities_far_below_the_others_leave_with_a_background():
    note = noted(BAD, *VALUE, "--metric", "f1")
    assert note.endswith("keep some rows as background (--valued GROUP).")
    assert noted(BAD, *VALUE, "--metric", "f1", *SOME) == ""


def test_groups_that_lack_a_class_are_told_and_both_ways_help():
    note = noted(LACKS, *VALUE, "--model", "own:seeded", train=SPECIALISTS)
    assert note.endswith("use --metric accuracy, or groups that have rows of every class.")
    assert noted(LACKS, *VALUE, "--model", "own:seeded", "--metric", "accuracy", train=SPECIALISTS) == ""
    assert noted(LACKS, *VALUE, "--model", "own:seeded") == ""


def test_test_rows_that_are_training_rows_are_told_and_others_are_not():
    for command in (VALUE, ("audit", *VALUE[1:], "--out", "audited"), (*TUNE, "newton", "--out", "tuned")):
        note = noted(SEEN, *command, test=TRAIN.drop(columns="who"))
        assert note.endswith("test it on rows that it was not trained on.")
        assert noted(SEEN, *command) == ""


def test_stored_sums_are_told_to_take_one_step_only_of_newton():
    prepare()
    printed(*VALUE, "--save-artifacts", "sums")
    stored = (*PARTIAL, "--artifacts", "sums", "--unlearner")
    assert "newton takes one step" in noted("one step", *stored, "newton")
    one = values(*stored, "newton")
    assert noted("one step", *stored, "newton", "--setting", "steps=1") == ""
    assert near(values(*stored, "newton", "--setting", "steps=1"), one)  # as the note says
    for name in ("influence", "ssd", "gradient_ascent"):
        assert noted("one step", *stored, name) == ""
        assert "stand in for those that are not at hand, where an unlearner needs" in noted("24 rows", *stored, name)


def test_a_candidate_that_fails_is_advised_in_options():
    grid = ("--grid", "lr=1e-3,1e6", "--setting", "steps=50")
    note = noted("failed: ", *TUNE, "gradient_ascent", *grid)
    assert "or another --unlearner (" in note
    assert good().keys() == {"acme", "bolt", "cairn"}
