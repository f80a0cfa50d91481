"""``--scheduler`` where it cannot be used; with a cluster it is tested beside what it does there."""

from __future__ import annotations

import sys

import pytest

from unshap_plugin.cli.main import main

VALUE = ["value", "--example", "iris", "--scheduler", "tcp://127.0.0.1:8786"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--jobs", "2"], "--scheduler uses all workers of a cluster, but --jobs was given too: leave one out."),
        ([], "--scheduler needs dask.distributed, which is not installed: install unshap-plugin[dask]."),
    ],
)
def test_what_stands_in_the_way_is_said_first(more, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([*VALUE, *more, "--out", str(tmp_path / "values")]) == 2
    assert capsys.readouterr().err == f"unshap: error: {message}\n"
    assert not (tmp_path / "values").exists()
