"""Memory: how it is written, and that passes keep to it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from problems import coalitions, early_stopped

from unshap_plugin import UnlearningGame
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.support import memory

#: Bytes that a process may take beyond the budget: libraries that are loaded late, buffers of the allocator.
CONSTANT = 100 * 10**6


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, 1),
        (np.int64(5000), 5000),
        ("7", 7),
        ("12 B", 12),
        ("2GB", 2 * 10**9),
        (" 1.5 gib ", 3 * 2**29),
        ("500 MB", 5 * 10**8),
        ("3 KiB", 3072),
    ],
)
def test_memory_is_a_number_of_bytes_or_a_text(given, expected):
    assert memory.as_bytes(given) == expected


@pytest.mark.parametrize("given", ["", "much", "2 GX", "-3GB", "0.1 B", 0, -1, "1e9", "2 GB of it"])
def test_other_texts_and_numbers_are_refused(given):
    with pytest.raises(InvalidValueError, match=r"memory is .*, but a number of bytes, or text such as '500MB' or"):
        UnlearningGame(early_stopped(), memory=given)


@pytest.mark.parametrize("given", [1.5, True, [1], b"2GB"])
def test_other_types_are_refused(given):
    with pytest.raises(InvalidTypeError, match=r"memory is .*, but a number of bytes, or text such as"):
        UnlearningGame(early_stopped(), memory=given)


def test_what_is_free_is_told_by_one_way_or_the_other(monkeypatch):
    free = memory.free_memory()
    assert free > 2**20
    assert UnlearningGame(early_stopped()).memory > 2**18
    ways = ("_of_psutil", "_of_linux", "_of_sysconf")

    def cannot():
        raise OSError

    for way in ways:
        monkeypatch.setattr(memory, way, cannot)
    assert memory.free_memory() == 2**31
    monkeypatch.setattr(memory, "_of_sysconf", lambda: 400)
    assert memory.free_memory() == 400
    assert memory.default_memory() == 100


@pytest.mark.parametrize("unlearner", ["finetune", "newton", "retrain", "influence"])
def test_less_memory_makes_smaller_passes_and_the_same_bits(unlearner):
    matrix = coalitions(20, 40)
    whole = UnlearningGame(early_stopped(hidden=4), unlearner)
    tight = UnlearningGame(early_stopped(hidden=4), unlearner, memory="100 KB")
    two = UnlearningGame(early_stopped(hidden=4), unlearner, memory="100 KB", n_jobs=2)
    assert two.chunk <= tight.chunk < whole.chunk
    assert np.array_equal(tight(matrix), whole(matrix))


def test_a_coalition_that_takes_more_than_the_memory_is_said(caplog):
    game = UnlearningGame(early_stopped(), "finetune", memory="1 KB")
    assert game.chunk == 1
    assert "a coalition takes about" in caplog.text
    assert "more than memory=1 KB" in caplog.text
    assert np.isfinite(game(coalitions(3, 40))).all()


WIDE = r"""
    import contextlib, json, re, sys
    from pathlib import Path
    import numpy as np, torch
    from torch import nn
    from sklearn.neighbors import KNeighborsClassifier
    from unshap_plugin import UnlearningGame, ValuationProblem

    torch.set_num_threads(1)
    kind, memory = sys.argv[1:]
    rng = np.random.default_rng(0)
    rows, columns = (60_000, 10) if kind == "tests" else (2_000, 3_000)
    x_test = rng.normal(size=(rows if kind != "columns" else 500, columns)).astype(np.float32)
    x = rng.normal(size=(100 if kind != "columns" else 2_000, columns)).astype(np.float32)
    y, y_test = rng.integers(0, 10, len(x)), rng.integers(0, 10, len(x_test))
    y[:10] = np.arange(10)
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(columns, 16), nn.Tanh(), nn.Linear(16, 10))
    problem = ValuationProblem(hidden, (x, y), (x_test, y_test), groups=np.arange(len(x)) % 20)
    game = UnlearningGame(problem, "finetune", steps=2, memory=memory, chunk=None)
    coalitions = rng.random((60, 20)) < 0.5
    game(coalitions[:1])

    def told(what):
        return int(re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024

    with contextlib.suppress(OSError):  # where that may not be written, the peak of importing is no rise either
        Path("/proc/self/clear_refs").write_text("5")
    before = told("VmHWM")
    game(coalitions)
    print(json.dumps({"rose": told("VmHWM") - before, "chunk": game.chunk}))
"""


def rise(kind, budget):
    """By how many bytes the memory of a process of its own rose above what it was when one coalition was known."""
    command = [sys.executable, "-c", textwrap.dedent(WIDE), kind, budget]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read as Linux tells it")
@pytest.mark.parametrize(("kind", "budget"), [("tests", 50 * 10**6), ("columns", 50 * 10**6)])
def test_the_peak_stays_within_the_budget_and_a_constant(kind, budget):
    told = rise(kind, str(budget))
    assert told["rose"] <= budget + CONSTANT, told
