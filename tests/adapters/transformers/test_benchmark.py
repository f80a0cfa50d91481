"""What the benchmark of language models compares beside unlearning, on a small model."""

from __future__ import annotations

import doctest
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("peft", reason="language models are an extra")

import language_background
from language.measuring import absent
from language.peers import Peer
from language.rivals import RIVALS
from unshap_transformers.example import stdlib
from unshap_transformers.problems import source_problem


def test_a_package_that_is_not_installed_is_left_out():
    peers = {name: Peer(name, name, lambda *_: np.zeros(1)) for name in ("no_such_package", "numpy")}
    assert absent(peers) == ["no_such_package"]


def test_rivals_find_the_scrambled_source():
    example = stdlib(rows=20, base_rows=300)
    problem = source_problem(example.model, **example.data())
    for name, rival in RIVALS.items():
        scores = rival(problem)
        assert scores.shape == (6,), name
        assert np.isfinite(scores).all(), name
        np.testing.assert_array_equal(rival(problem), scores)
    assert problem.players[int(np.argmin(RIVALS["cosine of gradients"](problem)))] == "scrambled"


def test_the_smaller_of_two_sources_has_half_of_its_rows_from_the_larger():
    rows = {"email": [], "email again": []}
    for row in stdlib(rows=50, base_rows=32).train_dataset:
        rows.get(row["source"], []).append(tuple(row["input_ids"]))
    shared = sum(row in set(rows["email"]) for row in rows["email again"])
    assert len(rows["email again"]) // 2 <= shared < len(rows["email again"])


@pytest.mark.parametrize("part", language_background.PARTS)
def test_a_part_of_the_sources_is_at_hand_and_the_rest_is_one_that_is_always_kept(part):
    example = stdlib(rows=10, base_rows=32)
    rows = Counter(row["source"] for row in example.train_dataset)
    partial, full = (language_background.divided(example, part, access) for access in ("partial", "full"))
    assert full.players == [*partial.players, language_background.REST]
    mine = {player: int((partial.player_of_row == i).sum()) for i, player in enumerate(partial.players)}
    if part == "halves":
        assert mine == {source: -(-count // 2) for source, count in rows.items()}
    else:
        assert mine == {source: rows[source] for source in language_background.SOURCES}
    assert partial.trained_rows == len(full.y) == rows.total()
    kept = full.retained(np.array([[False] * partial.n_players + [True]]))
    assert int(kept.sum()) == rows.total() - len(partial.y)


@pytest.mark.slow
def test_every_method_has_a_line_beside_another_retraining(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["language_background", "--quick", "--seeds", "0"])
    monkeypatch.setattr(language_background, "PARTS", ("sources",))
    monkeypatch.setattr(language_background, "PARTIAL", {"`npo`": language_background.PARTIAL["`npo`"]})
    language_background.main()
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [tuple(cell.strip() for cell in line[:2]) for line in lines] == [
        ("sources", language_background.SEED),
        ("sources", "`npo`"),
    ]
    assert all(-1 <= float(line[k].split()[0]) <= 1 for line in lines for k in (2, 3))


def test_examples():
    failed, attempted = doctest.testmod(language_background)
    assert failed == 0 < attempted
