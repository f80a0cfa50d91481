"""The snippets of the guide to language models, beside a model that is made on the spot."""

from __future__ import annotations

import functools
import json
import shlex

import pytest

pytest.importorskip("peft", reason="language models are an extra")

from readme import blocks, run
from unshap_transformers import example as examples
from unshap_transformers.example import stdlib

from unshap_plugin.cli.main import main

PAGE = blocks("docs/language_models.md")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    made = stdlib("llama", rows=10, base_rows=32)
    made.model.save_pretrained(tmp_path / "adapter")
    made.model.unload().save_pretrained(tmp_path / "model")
    rows = [{**row, "source": "bad" if row["source"] == "scrambled" else "good"} for row in made.train_dataset]
    for name, part in {"train": rows, "eval": made.eval_dataset, "reference": made.reference_dataset}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    monkeypatch.setattr(examples, "stdlib", functools.partial(stdlib, rows=10, base_rows=32))
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
