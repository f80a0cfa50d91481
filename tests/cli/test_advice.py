"""Errors of the command line advise what can be typed there, and what they advise helps."""

import ast
import inspect
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli.main import main

ROOT = Path(__file__).resolve().parents[2] / "unshap_plugin"
CALLS = (ValuationProblem, UnlearningGame, shapley_values)
ARGUMENTS = {name for call in CALLS for name in inspect.signature(call).parameters}
OPTIONS = {"unlearner": "auto"}
#: Eight coalitions instead of 256.
FEW = ["--valued", "provider-1", "provider-2", "provider-3"]


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        (
            "unlearner 'npo' (steps=5, lr=0.1) diverged; use a smaller lr, another unlearner, or on_error='exclude'.",
            "unlearner 'npo' (steps=5, lr=0.1) diverged; use a smaller lr, or another --unlearner.",
        ),
        ("it failed; use another unlearner, or on_error='exclude'.", "it failed; use another --unlearner."),
        ("too many: use estimator='permutation', or fewer.", "too many: use --estimator permutation, or fewer."),
        ("budget=5 is too small", "--budget 5 is too small"),
        ("coalitions=9 is too few", "--audit 9 is too few"),
        ("give other rows, or reference='test' if it is both.", "give other rows."),
        ("are left out; pass reference='test' if it is both.", "are left out."),
        ("no recipe: pass fit=Recipe('adam', init=...) to it; would work: a, b.", "no recipe; would work: a, b."),
        (
            "give a grid, values to try for some of lr.",
            "give --grid NAME=VALUE,VALUE with values to try for some of lr.",
        ),
        ("say so with loss='mse'.", "say so with loss='mse' in Python."),
    ],
)
def test_arguments_are_options_and_what_has_none_goes(python, typed):
    assert in_options(python, OPTIONS) == typed


def test_a_command_without_an_unlearner_keeps_its_messages():
    assert in_options("use on_error='exclude'.", {"name": "exact"}) == "use on_error='exclude'."
    assert in_options("coalitions=9 is too few", {**OPTIONS, "coalitions": 9}) == "--coalitions 9 is too few"


def messages():
    """Every text of the core that may be part of a message: an argument of something that is called or raised."""
    for path in sorted(ROOT.rglob("*.py")):
        if "cli" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for text in node.args:
                    if isinstance(text, ast.JoinedStr | ast.Constant) and isinstance(getattr(text, "value", ""), str):
                        whole = "".join(
                            part.value if isinstance(part, ast.Constant) else "X"
                            for part in getattr(text, "values", [text])
                        )
                        if re.search(rf"\b({'|'.join(sorted(ARGUMENTS))})=['A-Z]", whole):
                            yield pytest.param(whole, id=f"{path.name}:{node.lineno}")


@pytest.mark.parametrize("message", [*messages()])
def test_no_message_of_the_core_advises_python_on_the_command_line(message):
    said = in_options(message, OPTIONS)
    found = re.search(rf"\b({'|'.join(sorted(ARGUMENTS))})=('[^']*'|[A-Z]\w*\([^()]*\))(?! in Python)", said)
    assert found is None, said
    assert "on_error" not in said


@given(st.text("abcde ,.;:'", max_size=60))
def test_other_words_stay(text):
    assert in_options(text, OPTIONS) == text


@pytest.fixture
def mistaken(providers, refused):
    """A command that is refused with the words; return it as a list, and the sentence."""

    def run(*more):
        command = [*providers, *more]
        return command, refused(command)

    return run


def options_in(sentence):
    """The options that a sentence advises, with their values."""
    return [shlex.split(found) for found in re.findall(r"--[a-z-]+ (?!GROUP|FILE|COLUMN)[a-z0-9_]+", sentence)]


def test_an_estimator_that_is_advised_works(mistaken):
    command, sentence = mistaken("--estimator", "exact", "--budget", "100")
    assert "--budget 100 is too small" in sentence
    assert ["--estimator", "stratified"] in options_in(sentence)
    assert main([*command, "--estimator", "stratified"]) == 0
    assert main([*command, "--budget", "256"]) == 0  # give that


@pytest.mark.slow
def test_where_a_model_diverges_the_advice_has_options_and_works(mistaken, capsys):
    settings = ["--setting", "lr=1e6", "--setting", "steps=50"]
    command, sentence = mistaken(*FEW, "--model", "mlp", "--unlearner", "gradient_ascent", *settings)
    assert "on_error" not in sentence
    assert "exclude" not in sentence
    assert re.search(r"use a smaller lr.*, or another --unlearner \([^()]*newton[^()]*\)\.$", sentence.strip())
    assert main([*command[: -len(settings)], "--setting", "lr=1e-4"]) == 0
    assert main([*command[: -len(settings) - 1], "newton"]) == 0


def test_stored_sums_that_are_advised_work(mistaken, providers):
    some = ["--valued", "provider-1", "provider-2"]
    command, sentence = mistaken("--unlearner", "newton", "--access", "partial", *some)
    assert "write it with --access full --save-artifacts FILE, and give that as --artifacts FILE" in sentence
    assert "compute_artifacts" not in sentence
    assert main([*providers, "--access", "full", "--save-artifacts", "sums", "--out", "all"]) == 0
    assert main([*command, "--artifacts", "sums"]) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_an_unlearner_that_is_advised_works(mistaken):
    command, sentence = mistaken(*FEW, "--unlearner", "replay")
    assert "Recipe" not in sentence
    for name in re.search(r"unlearners that would work: (.*)\.", sentence)[1].split(", "):
        assert main([*command, "--unlearner", name]) == 0


@pytest.mark.filterwarnings("always:500 of 820 reference rows")
def test_reference_rows_that_are_test_rows_are_named_without_python(providers, refused, capsys):
    some = ["--valued", "provider-1", "--access", "partial", "--unlearner", "gradient_ascent"]
    assert "give other rows." in refused([*providers, *some, "--reference", "test.csv"])
    # As text: not every pandas reads the numbers that it wrote.
    test, train = (pd.read_csv(f"{name}.csv", dtype=str) for name in ("test", "train"))
    pd.concat([test, train.drop(columns="provider").assign(a="9.5")]).to_csv("other.csv", index=False)
    assert main([*providers, *some, "--reference", "other.csv"]) == 0
    error = capsys.readouterr().err
    assert "500 of 820 reference rows are test or training rows too, and are left out." in error
    assert "reference='test'" not in error


def test_a_loss_is_not_advised_where_it_cannot_be_given(providers, refused):
    Path("narrow.py").write_text("from torch import nn\ndef model(d, c): return nn.Linear(d, 1)\n")
    try:
        sentence = refused([*providers, "--model", "narrow:model"])
    finally:
        sys.modules.pop("narrow", None)
    assert "loss=" not in sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "model", "right"),
    [
        (["no", "yes"], ["--task", "regression"], [[]]),
        (["no", "yes"], ["--model", "ridge"], [[]]),
        (np.arange(320) / 7, ["--task", "classification"], [["--task", "regression"]]),
        (np.arange(320) / 7, ["--model", "logistic"], [["--task", "regression"]]),
        (["0", "1"], ["--task", "regression", "--model", "logistic"], [["--task", "regression"], ["--model", "mlp"]]),
        (["0", "1"], ["--task", "classification", "--model", "ridge"], [["--model", "ridge"]]),
    ],
)
def test_what_is_advised_about_the_task_works(providers, refused, labels, model, right):
    frame = pd.read_csv("train.csv")
    frame["y"] = np.resize(labels, len(frame))
    frame.to_csv("train.csv", index=False)
    command = ["value", "train.csv", "--label", "y", "--group", "provider"]
    sentence = refused([*command, *model])
    assert re.search(r"leave out what asks for one \(--task, --model\)|--task regression|leave one out", sentence)
    for instead in right:
        assert main([*command, *instead]) == 0
