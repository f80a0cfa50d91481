"""OpenDataVal's own test suite, from its source distribution, with our evaluator in its dry run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")


def run(*command, folder):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_opendatavals_own_tests_pass_with_our_evaluator(tmp_path):
    pinned = f"opendataval=={version('opendataval')}"
    fetched = run("pip", "download", "--no-deps", "--no-binary=opendataval", "--quiet", pinned, folder=tmp_path)
    assert fetched.returncode == 0, fetched.stdout
    [archive] = tmp_path.glob("opendataval-*.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    shutil.rmtree(source / "opendataval")  # the one that is installed is tested
    shutil.copy(Path(__file__).with_name("in_their_suite.py"), source / "conftest.py")
    tested = run("pytest", "-q", folder=source)
    assert tested.returncode == 0, tested.stdout
    summary = tested.stdout.splitlines()[-1]
    assert "35 passed" in summary, tested.stdout
    assert not any(word in summary for word in ("skipped", "deselected", "xfailed")), tested.stdout
