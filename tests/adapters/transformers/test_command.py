"""``unshap text`` on small models that are made on the spot."""

from __future__ import annotations

import functools
import json

import pytest

pytest.importorskip("peft", reason="language models are an extra")

from unshap_transformers import example as examples
from unshap_transformers.example import stdlib

from unshap_plugin.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, an adapter, and text: four coalitions."""
    path, made = tmp_path_factory.mktemp("text"), stdlib("llama", rows=10, base_rows=32)
    made.model.save_pretrained(path / "adapter")
    made.model.unload().save_pretrained(path / "model")
    rows = [{**row, "source": "bad" if row["source"] == "scrambled" else "good"} for row in made.train_dataset]
    for name, part in {"train": rows, "eval": made.eval_dataset, "reference": made.reference_dataset[:2]}.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return path


def text(folder, *more, **changed):
    paths = {"model": "model", "adapter": "adapter", "train": "train.jsonl", "eval": "eval.jsonl"} | changed
    given = [word for name, path in paths.items() if path is not None for word in (f"--{name}", str(folder / path))]
    return ["text", *given, "--source-column", "source", *more]


def test_it_values_the_sources_and_writes_what_it_found(folder, tmp_path, capsys):
    assert main(text(folder, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "values.db"))) == 0
    said = capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"values.csv", "result.json", "values.png"}
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert sorted(result["players"]) == ["bad", "good"]
    assert "finetune (steps=6" in said
    assert "(log_likelihood on 1" in said


def test_it_retrains_by_what_it_is_told(folder, tmp_path, capsys):
    fit = ["--fit", "optimizer=adamw", "--fit", "lr=0.01", "--fit", "epochs=1", "--unlearner", "retrain"]
    assert main(text(folder, *fit, "--out", str(tmp_path / "out"))) == 0
    assert "unlearner    retrain (no settings)" in capsys.readouterr().out


def test_it_retrains_on_some_and_shows_what_unlearning_alone_would_give(folder, tmp_path, capsys):
    fit = ["--fit", "optimizer=adamw", "--fit", "lr=0.01", "--fit", "epochs=1", "--retrain", "4"]
    assert main(text(folder, *fit, "--out", str(tmp_path / "out"))) == 0
    said = capsys.readouterr().out
    assert "note: 4 retrainings correct what finetune would give" in said
    assert "unlearned by finetune" in said
    assert "unlearner    retrain (no settings)" in said
    assert json.loads((tmp_path / "out" / "result.json").read_text())["retrainings"] == 4


def test_the_example_names_the_scrambled_source_last(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(examples, "stdlib", functools.partial(stdlib, rows=10, base_rows=400))
    assert main(["text", "--example", "stdlib", "--out", str(tmp_path / "out")]) == 0
    assert "last         scrambled by these values, scrambled by retraining" in capsys.readouterr().out


REFUSED = {
    "nothing": (["text"], "--model was not given: give --model, --train and --eval, or --example stdlib"),
    "both": (["text", "--example", "stdlib", "--model", "x"], "--example brings its own model and text, but --model"),
    "another example": (["text", "--example", "books"], "there is no example 'books': give --example stdlib"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_missing_is_told_in_one_sentence(name, capsys):
    arguments, says = REFUSED[name]
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


WRONG = {
    "no model": ({"model": "nowhere"}, [], "there is no config.json"),
    "no adapter": ({"adapter": "model"}, [], "there is no adapter_config.json"),
    "no recipe": ({}, ["--unlearner", "retrain"], "needs to know how the torch model was trained"),
    "no recipe to correct by": ({}, ["--retrain", "4"], "how the torch model was trained: give --fit NAME=VALUE; "),
    "an estimator": ({}, ["--retrain", "4", "--estimator", "exact"], "leave it out, or leave out --retrain"),
    "partial access": ({}, ["--retrain", "4", "--access", "partial"], "unlearner 'retrain' needs access to RETAIN"),
    "nothing trained": ({"adapter": None}, [], "nothing says how it was trained"),
    "a setting of nothing": ({}, ["--fit", "rate=3"], "fit has no setting 'rate'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_sentence(name, folder, tmp_path, capsys):
    changed, more, says = WRONG[name]
    assert main(text(folder, *more, "--out", str(tmp_path / "out"), **changed)) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_told_in_one_sentence(folder, tmp_path, capsys):
    stdlib("gpt2", rows=10, base_rows=32).model.unload().save_pretrained(tmp_path / "other")
    assert main(text(folder, model=tmp_path / "other")) == 2
    error = capsys.readouterr().err
    assert "does not fit the model" in error
    assert error.count("\n") == 1
