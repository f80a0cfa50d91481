"""``--store``, and ``unshap store``."""

import json
import sqlite3
from pathlib import Path

import pytest

from unshap_plugin.cli.main import main
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.store.file import Store


def lines(capsys, *argv, code=0):
    assert main(list(argv)) == code
    return capsys.readouterr().out.splitlines()


def refusal(capsys, *argv):
    assert main(list(argv)) == 2
    return capsys.readouterr().err


@pytest.fixture
def stored(providers, capsys):
    """The command that fills a store."""
    command = [*providers, "--store", "values.db"]
    assert main(command) == 0
    capsys.readouterr()
    return command


def test_a_second_run_evaluates_nothing_and_writes_the_same(stored, monkeypatch, capsys):
    first = json.loads(Path("values/result.json").read_text())
    monkeypatch.setattr(Evaluation, "utilities", lambda *_: pytest.fail("it was known"))
    assert main([*stored, "--estimator", "exact"]) == 0
    second = json.loads(Path("values/result.json").read_text())
    for name in ("values", "std_errors", "evaluations", "utility_none"):
        assert first[name] == second[name]


def test_it_lists_verifies_and_merges(stored, capsys):
    [head, game] = lines(capsys, "store", "values.db")
    assert head.split() == ["game", "model", "unlearner", "metric", "seed", "players", "coalitions", "last", "written"]
    assert "newton (steps=None, proximal=None)" in game
    assert "  8         255  20" in game
    assert lines(capsys, "store", "values.db", "--verify")[0] == "sound: every batch is what was written"
    for added in (255, 0):
        merged, *listed = lines(capsys, "store", "other.db", "--merge", "values.db")
        assert merged == f"merged: {added} coalitions of values.db"
        assert len(listed) == 2
    with sqlite3.connect("other.db") as connection:
        connection.execute("UPDATE batches SET utilities = zeroblob(length(utilities))")
    connection.close()
    found = lines(capsys, "store", "other.db", "--verify", code=1)
    assert found[0] == "it is damaged (batch 1 is not what was written)"
    assert all(one.startswith("it is damaged (batch ") for one in found)
    error = refusal(capsys, "store", "values.db", "--merge", "other.db")
    assert "'other.db' cannot be used as a store, since it is damaged (batch 1 is not what was written)" in error
    assert len(lines(capsys, "store", "values.db")) == 2


def test_what_is_stored_otherwise_stays_and_is_said(stored, capsys):
    lines(capsys, "store", "other.db", "--merge", "values.db")
    store = Store("changed.db")
    [game] = Store("values.db").games()
    for batch in Store("values.db").batches(game.fingerprint):
        store.write(game.fingerprint, batch.keys, batch.utilities + 1)
    found = lines(capsys, "store", "other.db", "--merge", "changed.db")
    assert found[:2] == [
        "merged: 0 coalitions of changed.db",
        "note: 255 have other utilities there, and those of this store stay",
    ]


def test_what_is_no_store_is_refused_and_left_as_it_is(providers, capsys):
    for command in (
        ["store", "train.csv"],
        [*providers, "--store", "train.csv"],
        ["store", "new.db", "--merge", "train.csv"],
    ):
        before = Path("train.csv").read_bytes()
        assert "'train.csv' cannot be used as a store, since it is not an SQLite file" in refusal(capsys, *command)
        assert Path("train.csv").read_bytes() == before
    assert not Path("new.db").exists()
    assert "there is no store 'none.db': give a file that --store wrote" in refusal(capsys, "store", "none.db")
    assert not Path("none.db").exists()
