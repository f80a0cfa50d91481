"""The snippets of the guide to language models, beside a model that is made on the spot."""

from __future__ import annotations

import copy
import json
import shlex
from dataclasses import replace

import pytest

pytest.importorskip("peft", reason="language models are an extra")

from readme import blocks, run
from reviews import learned, reviews, untrained, with_adapter, word_tokenizer
from unshap_transformers import example as examples
from unshap_transformers.example import stdlib

from unshap_plugin.cli.main import main

PAGE = blocks("docs/language_models.md")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    made = stdlib("llama", rows=10, base_rows=32)
    made.model.save_pretrained(tmp_path / "adapter")
    copy.deepcopy(made.model).unload().save_pretrained(tmp_path / "model")
    rows = [{**row, "source": "bad" if row["source"] == "scrambled" else "good"} for row in made.train_dataset]
    for name, part in {"train": rows, "eval": made.eval_dataset, "reference": made.reference_dataset}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    tokenizer = word_tokenizer("bert")
    with_head = untrained("bert")
    with_head.save_pretrained(tmp_path / "classifier")
    tokenizer.save_pretrained(tmp_path / "classifier")
    learned(with_adapter(with_head, "bert"), tokenizer, reviews(6)).save_pretrained(tmp_path / "classifier adapter")
    for name, part in {"reviews": reviews(6), "held_out": reviews(8, seed=1)}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    two = [row for row in made.train_dataset if row["source"] in ("json", "scrambled")]
    monkeypatch.setattr(examples, "stdlib", lambda seed: replace(made, train_dataset=two))  # of four coalitions
    monkeypatch.chdir(tmp_path)


def test_the_values_of_sources(capsys):
    run(PAGE["sources"][1])
    said = capsys.readouterr().out
    assert "buyer a" in said
    assert "good" in said


def test_the_commands(capsys):
    for line in PAGE["command"][1].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "unshap"
        assert main(arguments) == 0
    assert "its values agree to" in capsys.readouterr().out


def test_the_values_of_rows(capsys):
    run(PAGE["classifiers"][1])
    assert "player" in capsys.readouterr().out


def test_the_command_of_classifiers(capsys, tmp_path):
    program, *arguments = shlex.split(PAGE["classify"][1])
    assert program == "unshap"
    assert main(arguments) == 0
    assert "(log_likelihood on 8 test rows)" in capsys.readouterr().out
    assert len((tmp_path / "values" / "values.csv").read_text().splitlines()) == 7
