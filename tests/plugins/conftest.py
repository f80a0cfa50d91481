"""Fake distributions, put on the path."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

#: What needs shapiq runs where it is installed; without it, stand-ins are tested elsewhere.
collect_ignore = [] if importlib.util.find_spec("shapiq") else ["test_shapiq.py"]

FOLDER = Path(__file__).parent / "distributions"


@pytest.fixture
def install(monkeypatch):
    """Put the fake distributions of these folders on the path."""

    def put(*folders):
        for folder in folders:
            monkeypatch.syspath_prepend(str(FOLDER / folder if isinstance(folder, str) else folder))

    return put


@pytest.fixture
def offer(tmp_path, install):
    """Install a distribution with this module."""

    def put(source, name="made-up"):
        module = f"{name.replace('-', '_')}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{name.replace('-', '_')}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
        (info / "entry_points.txt").write_text(f"[unshap_plugin]\nall = {module}\n")
        install(tmp_path)

    return put
