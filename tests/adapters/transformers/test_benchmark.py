"""What the benchmark of language models compares beside unlearning, on a small model."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("peft", reason="language models are an extra")

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
