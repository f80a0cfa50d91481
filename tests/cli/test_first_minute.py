"""What somebody sees first: words without theory, lines that fit, data for programs, and a help of one screen."""

from __future__ import annotations

import argparse
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from unshap_plugin import FidelityReport, ValuationResult
from unshap_plugin.cli import COMMANDS
from unshap_plugin.cli._terminal import fitted, put
from unshap_plugin.cli.main import _parser, main

VALUE = ["value", "--example", "iris", "--budget", "400"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def helps():
    """The help of each command."""
    [commands] = [one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return {name: commands.choices[name].format_help() for name in COMMANDS}


def test_values_are_explained_in_words(capsys):
    assert main(VALUE) == 0
    lines = capsys.readouterr().out.splitlines()
    said = {line[:12].rstrip(): line[13:] for line in lines if line[12:13] == " "}
    assert "how much worse the model gets" in said["question"]
    assert said["unit"].startswith("log_likelihood: the mean logarithm of the probability")
    assert said["found"].startswith("With everybody's data the utility is")
    assert any("beyond the error of their values" in line for line in lines)
    assert "unshap audit" in " ".join(lines)
    assert lines.index(next(one for one in lines if one.startswith("question"))) > 10, "the table comes first"


def test_lines_fit_a_terminal_and_are_whole_elsewhere(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    line = "unlearner    " + "a word " * 30
    lines = fitted(line, Terminal()).splitlines()
    assert max(map(len, lines)) <= 60
    assert {one[:13] for one in lines[1:]} == {" " * 13}
    assert "".join(fitted(line, Terminal()).split()) == "".join(line.split())
    assert fitted(line, io.StringIO()) == line
    assert fitted("note: " + "a word " * 30, Terminal()).splitlines()[1].startswith("  ")


def test_errors_fit_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["value", "--example", "mars"]) == 2
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 50


@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
@pytest.mark.parametrize(
    ("command", "kind"),
    [(VALUE, ValuationResult), (["audit", "--example", "iris", "--coalitions", "12"], FidelityReport)],
)
def test_json_is_all_of_stdout(command, kind, capsys):
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr()
    assert kind.from_json(printed.out).to_json() == printed.out.rstrip("\n")
    assert "wrote" in printed.err
    if kind is ValuationResult:
        data, kept = json.loads(printed.out), json.loads(Path("values/result.json").read_text())
        assert data["notes"] == ["example 'iris': split by the seed into 105 training and 45 test rows"]
        assert data["values"] == kept["values"]


def test_the_help_fits_one_screen(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("    ")] == list(COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "opendataval"])
def test_every_command_has_an_example_that_it_takes(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    *_, example = helps()[name].splitlines()
    program, *arguments = shlex.split(example.removeprefix("example: "))
    assert (program, arguments[0]) == ("unshap", name)
    assert _parser().parse_args(arguments).run


@pytest.mark.slow
def test_whoever_reads_may_stop_reading(tmp_path):
    code = "import sys; from unshap_plugin.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for arguments in (["value", "--help"], ["unlearners"], VALUE):
        run = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
        )
        run.stdout.close()  # before anything was written
        complaints = run.stderr.read().decode()
        run.stderr.close()
        assert run.wait() == 0, complaints
        assert "BrokenPipe" not in complaints
    assert (tmp_path / "values" / "values.csv").exists(), "what was computed is written all the same"


def test_put_writes_to_the_stream_that_it_is_given():
    stream = io.StringIO()
    put("text", stream)
    assert stream.getvalue() == "text"
