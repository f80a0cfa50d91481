"""Commands that take long: what ends them, what they say on the way, and what is left when somebody does."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from unshap_plugin import ValuationResult, shapley_values
from unshap_plugin.cli import _progress, value
from unshap_plugin.cli._signals import Interruption
from unshap_plugin.cli.main import main
from unshap_plugin.store.file import Store
from unshap_plugin.support.progress import Progress

DEFAULT = value.DEFAULT
ROWS = ["value", "--example", "breast_cancer", "--flip", "0.2"]


def result():
    return ValuationResult.from_json(Path("values/result.json").read_text(encoding="utf-8"))


def given_to(monkeypatch, arguments):
    """Run a command, and return the rules that it gave."""
    given = []

    def noting(game, estimator, **keywords):
        given.append({name: keywords[name] for name in ("budget", "target_error", "max_time", "stable_top")})
        return shapley_values(game, "stratified", 6, seed=0)

    monkeypatch.setattr(value, "DEFAULT", DEFAULT)
    monkeypatch.setattr(value, "shapley_values", noting)
    assert main(arguments) == 0
    return {name: rule for name, rule in given[0].items() if rule is not None}


def test_by_default_it_goes_on_to_a_target_or_a_minute(providers, monkeypatch):
    assert given_to(monkeypatch, ROWS) == {"target_error": "10%", "max_time": 60}
    assert given_to(monkeypatch, [*ROWS, "--estimator", "permutation"]) == {"target_error": "10%", "max_time": 60}
    assert given_to(monkeypatch, providers) == {"max_time": 60}, "all coalitions of eight are soon known"


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--budget", "1000"], {"budget": 1000}),
        (["--target-error", "20%"], {"target_error": "20%"}),
        (["--target-error", "0.5", "--max-time", "2.5"], {"target_error": 0.5, "max_time": 2.5}),
        (["--stable-top", "3"], {"stable_top": 3}),
    ],
)
def test_what_is_given_is_all_that_ends_it(options, rules, monkeypatch):
    assert given_to(monkeypatch, [*ROWS, *options]) == rules


def test_what_ended_it_is_said_and_kept(providers, capsys):
    assert main([*providers, "--max-time", "0"]) == 0
    assert re.search(r"^ended by     time limit$", capsys.readouterr().out, re.MULTILINE)
    assert result().stopped == "max_time"
    assert main([*providers, "--estimator", "stratified", "--target-error", "0.05"]) == 0
    assert "ended by     target error\n" in capsys.readouterr().out


def test_what_is_no_rule_is_refused_in_the_words_of_the_options(capsys):
    assert main([*ROWS, "--target-error", "small"]) == 2
    assert capsys.readouterr().err.startswith("unshap: error: --target-error is 'small', but a standard error")


def test_a_ranking_that_is_not_to_be_used_is_the_first_that_is_said(capsys):
    assert main([*ROWS, "--budget", "60"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(
        r"note: the 95% intervals of \d+ of 200 values contain zero, so that their ranking is not to be used; about "
        r"--budget \d+ would make it usable\.",
        first,
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_has_rate_remaining_time_and_the_largest_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with _progress.progress_bar("evaluations") as show:
        show(Progress(200, 1000, 2.0))
        show(Progress(600, 1000, 6.0, 0.0125))
        logging.getLogger("unshap_plugin.support.progress").info("about 2 min for 1,000 utilities")
        logging.getLogger("unshap_plugin.support.progress").info("600 of 1,000 utilities")
    said = sys.stderr.getvalue()
    assert re.search(r"evaluations: .*200/1000 .*", said)
    assert "largest error 0.0125" in said
    assert "unshap: about 2 min for 1,000 utilities" in said
    assert "600 of 1,000 utilities" not in said, "the bar says that"


def test_without_a_terminal_there_is_a_line_a_minute(capsys):
    log = logging.getLogger("unshap_plugin.support.progress")
    with _progress.progress_bar("evaluations"):
        log.info("600 of 1,000 utilities")
    log.info("after it")
    assert capsys.readouterr().err == "unshap: 600 of 1,000 utilities\n"


def test_a_second_signal_ends_at_once():
    before = signal.getsignal(signal.SIGTERM)
    interruption = Interruption()
    with interruption.awaited():
        signal.raise_signal(signal.SIGINT)
        assert interruption.exit_code == 130
        with pytest.raises(KeyboardInterrupt) as end:
            signal.raise_signal(signal.SIGTERM)
    assert end.value.args == (signal.SIGTERM,)
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_end_before_there_are_values_says_why_and_what_there_is(providers, monkeypatch, capsys):
    def ended(game, *_args, progress, **_keywords):
        signal.raise_signal(signal.SIGTERM)
        return shapley_values(game, "stratified", progress=progress)

    monkeypatch.setattr(value, "shapley_values", ended)
    why = "unshap: interrupted, without results (the run was ended after 2 utilities, before there were values: these "
    assert main(providers) == 143
    assert capsys.readouterr().err.splitlines()[-1] == f"{why}need 18)"
    assert main([*providers, "--store", "values.db"]) == 143
    assert capsys.readouterr().err.splitlines()[-1] == f"{why}need 18); what was evaluated is in values.db"
    assert Store("values.db").games()[0].coalitions == 1, "that of all players is the given model"
    assert not Path("values").exists()


def test_an_audit_that_is_ended_leaves_the_values(providers, monkeypatch, capsys):
    def ended(*_args, **_keywords):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(value, "audit", ended)
    assert main([*providers, "--audit", "20"]) == 143
    assert "audit        interrupted\n" in capsys.readouterr().out
    assert len(result()) == 8
    assert not Path("values/audit.json").exists()


SLOW = """
import sys, time
from unshap_plugin.cli import value
from unshap_plugin.cli.main import main
from unshap_plugin.game import UnlearningGame
fast = UnlearningGame.__call__
def slow(self, coalitions):
    time.sleep(0.004 * len(coalitions))
    if self.evaluations > 60:
        print("on its way", flush=True)
    return fast(self, coalitions)
UnlearningGame.__call__ = slow
sys.exit(main(sys.argv[1:]))
"""


TOLD = """
import sys
from unshap_plugin.cli import value
from unshap_plugin.cli.main import main
valued = value.shapley_values
def told(*args, progress, **rules):
    def noting(now):
        if now.done > 3000:
            print("on its way", flush=True)
        return progress(now)
    return valued(*args, progress=noting, **rules)
value.shapley_values = told
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_workers_too_ends_it_with_the_values_so_far(tmp_path, number):
    """As a terminal, or a batch system, sends it: to all processes of the group."""
    command = [sys.executable, "-c", textwrap.dedent(TOLD), "value", "--example", "iris", "--budget", "2000000"]
    command += ["--jobs", "2", "--estimator", "permutation", "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment, start_new_session=True) as process:
        assert process.stdout.readline() == "on its way\n"
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert "ended by     interruption, with the values so far\n" in out
    assert json.loads((tmp_path / "result.json").read_text())["stopped"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_real_process_with_the_values_so_far(providers, number):
    command = [sys.executable, "-c", textwrap.dedent(SLOW), *providers, "--estimator", "permutation"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        assert process.stdout.readline() == "on its way\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "unshap: ending with the values so far; once more ends at once" in err
    assert "ended by     interruption, with the values so far\n" in out
    found = result()
    assert found.stopped == "interrupted"
    assert json.loads(Path("values/result.json").read_text())["stopped"] == "interrupted"
    assert main([*providers, "--estimator", "permutation", "--budget", str(found.asked)]) == 0
    assert np.array_equal(result().values, found.values)
