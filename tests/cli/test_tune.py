import numpy as np
import pandas as pd
import pytest

from unshap_plugin import UnlearningGame, tune
from unshap_plugin.audit import tuning as tuning_of_games
from unshap_plugin.cli.main import main

# The default model is trained by lbfgs, which is not batched.
pytestmark = pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")

SOME = ["--valued", "provider-0", "provider-1", "provider-2"]


def test_the_settings_nearest_to_retraining_are_printed_as_options_of_value(providers, problem_of, capsys):
    command = [*providers[1:], *SOME, "--unlearner", "finetune", "--setting", "shrink=0.5", "--seed", "3"]
    assert main(["tune", *command, "--grid", "lr=0.5,0.001", "--grid", "steps=1,20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["lr", "steps", "score", "error", "ms", "per", "coalition"]
    assert [line.split()[:2] for line in lines[1:5]] == [["0.5", "1"], ["0.5", "20"], ["0.001", "1"], ["0.001", "20"]]
    assert "log_likelihood, in whose units the errors are" in lines[7]
    assert lines[8] == "coalitions   8  (chosen by seed 3; audit the best settings with another seed)"
    assert lines[9] == "retrainings  16"
    best = "best         --unlearner finetune --setting shrink=0.5 --setting lr=0.5 --setting steps=20"
    assert lines[10] == best
    assert lines[11] == "wrote        tune/tune.csv"

    game = UnlearningGame(problem_of(3, valued=SOME[1:]), "finetune", shrink=0.5, seed=3)
    expected = tune(game, {"lr": [0.5, 0.001], "steps": [1, 20]})
    table = pd.read_csv("tune/tune.csv")
    assert list(table.columns) == list(expected.table.columns)
    for name in ("lr", "steps", "score", "error"):
        np.testing.assert_allclose(table[name], expected.table[name].astype(float), rtol=1e-9)
    assert table["score"].idxmin() == 1

    assert main([*providers, *SOME, *best.split()[1:]]) == 0
    assert "unlearner    finetune (steps=20, lr=0.5, batch_size=None, shrink=0.5)" in capsys.readouterr().out


def test_without_a_grid_the_unlearners_own_is_tried(providers, capsys):
    assert main(["tune", *providers[1:], *SOME, "--coalitions", "6", "--out", "a/b"]) == 0
    out = capsys.readouterr().out
    assert "best         --unlearner newton --setting steps=" in out
    assert "coalitions   6 " in out
    assert set(pd.read_csv("a/b/tune.csv")["steps"].dropna()) == {1, 2}


def test_settings_without_a_number_and_candidates_that_diverge_are_told_apart(providers, capsys):
    arguments = ["tune", *providers[1:], *SOME, "--unlearner", "influence", "--grid", "damping=None,0.5"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["None", "0.5"]
    assert main(["tune", *providers[1:], *SOME, "--unlearner", "graddiff", "--grid", "lr=0.01,1e6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["1000000.0", "-", "-", "-"]
    assert lines[4].startswith("failed: ")
    assert "--setting lr=0.01" in lines[9]


BAD = [
    (["--grid", "stps=1,2"], "unlearner 'newton' has no setting 'stps' (did you mean 'steps'?); it has: steps"),
    (["--unlearner", "newton", "--setting", "stps=1"], "has no setting 'stps' (did you mean 'steps'?)"),
    (["--grid", "steps"], "argument --grid: 'steps' is not of the form lr=0.01,0.03; see unshap tune --help."),
    (["--grid", "steps="], "'steps=' is not of the form"),
    (["--grid", "=1"], "'=1' is not of the form"),
    (["--grid", "steps=1,0"], "steps is 0, but a whole number of at least 1 is needed"),
    (["--grid", "steps=1,few"], "steps is 'few', but a whole number"),
    (["--grid", "steps=1,,2"], "steps is '', but a whole number"),
    (["--grid", "steps=1", "--grid", "steps=2"], "--grid gives 'steps' twice"),
    (["--unlearner", "retrain"], "unlearner 'retrain' has no settings to tune"),
    (["--unlearner", "newtn"], "did you mean 'newton'?"),
    (["--coalitions", "0"], "coalitions is 0, but a whole number of at least 1 is needed"),
    (["--seeds", "1"], "seeds is 1, but a whole number of at least 2 is needed"),
    (["--out", "train.csv"], "cannot be written (Not a directory"),
    (["--access", "partial"], "unrecognized arguments: --access partial"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_what_cannot_be_tuned_is_refused_before_any_retraining(providers, arguments, message, refused, monkeypatch):
    monkeypatch.setattr(tuning_of_games, "retrained", lambda *_: pytest.fail("retrained"))
    assert message in refused(["tune", *providers[1:], *SOME, *arguments])


def test_one_player_tells_nothing_of_settings(providers, refused):
    assert "value at least two" in refused(["tune", *providers[1:], "--valued", "provider-0"])
