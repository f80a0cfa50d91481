"""``unshap opendataval``: arguments that OpenDataVal's own command would end on with a traceback, or ignore."""

import json
import shlex
from pathlib import Path

import pytest

from unshap_plugin.cli.main import main

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

# What OpenDataVal's own command imports is not ours, nor is that it pins memory without a GPU.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
]
NOISE = ["--add-noise", "mix_labels", "--noise-kwargs", '{"noise_rate": 0.2}']


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a small job; return the exit code, and what was said on stderr."""
    monkeypatch.chdir(tmp_path)
    command = ["opendataval", "run", "--dataset", "iris", "--model", "logisticregression", "--output", str(tmp_path)]
    command += ["--train", "20", "--valid", "10", "--test", "10", "--train-kwargs", '{"epochs": 2}']

    def job(keywords, *more, dataval="unlearningshapley"):
        text = keywords if isinstance(keywords, str) else json.dumps(keywords)
        code = main([*command, "--dataval", dataval, "--dataval-kwargs", text, *more])
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return code, error

    return job


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"budgt": 300}, "unknown argument of --dataval-kwargs, 'budgt' (did you mean 'budget'?); expected one of: "),
        ({"unlearner": "newtn"}, "unknown unlearner 'newtn' (did you mean 'newton'?)"),
        ({"utility": "metrics"}, "unknown utility 'metrics' (did you mean 'metric'?)"),
        ({"budget": 5}, "budget=5 is too small"),
        ({"budget": "many"}, "budget is 'many', but a whole number of at least 0 is needed"),
        ({"settings": {"stepps": 3}, "unlearner": "newton"}, "'stepps'"),
        ({"random_state": "x"}, "random_state is 'x', which cannot seed anything"),
        ([1], "--dataval-kwargs is '[1]', but a JSON object is needed"),
        ("{budget: 5}", "--dataval-kwargs is '{budget: 5}', but a JSON object is needed"),
        ("'{}'", "but a JSON object is needed, such as '{\"random_state\": 0}'"),
    ],
)
def test_bad_keywords_end_in_one_sentence(run, keywords, sentence):
    code, error = run(keywords, *NOISE)
    assert code == 2
    assert error.startswith("unshap: error: ")
    assert error.count("\n") == 1
    assert sentence in error


@pytest.mark.parametrize("option", ["--train-kwargs", "--noise-kwargs"])
def test_other_keywords_that_are_no_json_are_not_ignored(run, option):
    code, error = run({}, *NOISE, option, "epochs=3")
    assert code == 2
    assert f"{option} is 'epochs=3', but a JSON object is needed" in error


def test_keywords_of_other_evaluators_end_in_one_sentence_too(run):
    code, error = run({"num_models": "many"}, *NOISE, dataval="dataoob")
    assert code == 2
    assert error.startswith("unshap: error: OpenDataVal failed with ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "wrong", "right"),
    [
        ("--train-kwargs", {"epoch": 2}, {"epochs": 2}),
        ("--noise-kwargs", {"noise_rat": 0.2}, {"noise_rate": 0.2}),
    ],
)
def test_the_option_that_is_to_blame_is_named(run, option, wrong, right):
    code, error = run({"random_state": 0}, *NOISE, option, json.dumps(wrong))
    assert code == 2
    assert error.endswith(f"unexpected keyword argument {next(iter(wrong))!r}; check {option}.\n")
    assert run({"random_state": 0}, *NOISE, option, json.dumps(right))[0] == 0


def test_what_is_advised_works(run):
    code, error = run({"random_state": 0})
    assert code == 2
    assert "OpenDataVal failed with AttributeError" in error
    assert "add --add-noise, which its experiments need." in error
    assert run({"random_state": 0}, *NOISE)[0] == 0
    assert run({"random_state": 0, "budget": 300}, *NOISE)[0] == 0
    assert list(Path().glob("*.csv"))


def test_its_help_ends_in_an_example_that_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["opendataval", "--help"]) == 0
    _, example = capsys.readouterr().out.split("\nexample: ")
    assert max(map(len, example.splitlines())) <= 80
    program, *arguments = shlex.split(example)
    assert program == "unshap"
    assert main(arguments) == 0
    assert list(tmp_path.iterdir()), "what OpenDataVal writes"
