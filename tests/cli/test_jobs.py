"""``--jobs`` and ``--memory``: they change no value."""

from __future__ import annotations

import pytest

from unshap_plugin.cli.main import main

VALUE = ["value", "--example", "iris", "--budget", "700", "--unlearner", "newton"]


@pytest.mark.slow
def test_values_are_the_same_with_any_number_of_jobs(tmp_path, capsys):
    written = []
    for more in ([], ["--jobs", "1"], ["--jobs", "2", "--memory", "100MB"]):
        assert main([*VALUE, *more, "--out", str(tmp_path / "values")]) == 0
        written.append((tmp_path / "values" / "values.csv").read_text(encoding="utf-8"))
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--jobs", "0"], "--jobs is 0, but a number of processes is needed: use 1, or -1 for one on each core."),
        (["--memory", "much"], "memory is 'much', but a number of bytes, or text such as '500MB' or '2GB', is needed"),
    ],
)
def test_what_is_no_number_of_jobs_or_bytes_is_refused(more, message, tmp_path, capsys):
    assert main([*VALUE, *more, "--out", str(tmp_path)]) != 0
    assert message in capsys.readouterr().err
