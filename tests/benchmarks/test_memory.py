"""Calls in a process of their own."""

from __future__ import annotations

import os
import sys
from functools import partial

import numpy as np
import pytest
from harness.memory import apart

pytestmark = pytest.mark.slow  # each process imports torch


def test_what_rises_in_memory_is_counted():
    answer = apart(partial, np.ones, 5_000_000)
    assert answer["result"].sum() == 5_000_000
    assert answer["seconds"] >= 0
    if sys.platform == "linux":
        assert 0.9 * 40e6 < answer["bytes"] < 3 * 40e6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux begins the peak anew")
def test_what_the_preparation_took_is_not(tmp_path, monkeypatch):
    (tmp_path / "peaked.py").write_text("import numpy\ndef prepare():\n    numpy.ones(20_000_000)\n    return list\n")
    monkeypatch.syspath_prepend(tmp_path)
    import peaked

    assert apart(peaked.prepare)["bytes"] < 40e6


def test_a_failure_is_told():
    with pytest.raises(RuntimeError, match=r"^ValueError: invalid literal"):
        apart(int, "no number")


def test_a_process_that_dies_is_a_failure():
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        apart(os._exit, 3)
