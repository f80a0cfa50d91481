import shlex

import numpy as np
import pytest

from unshap_plugin import FidelityReport, UnlearningGame, ValuationResult, audit, shapley_values
from unshap_plugin.cli._settings import as_options, by_name, grid_values, setting
from unshap_plugin.cli.main import main
from unshap_plugin.errors import InvalidValueError


def test_a_setting_is_that_of_the_call_in_python(providers, problem_of, tmp_path):
    command = [*providers, "--seed", "7"]
    assert main([*command, "--setting", "steps=5", "--out", "five"]) == 0
    assert main([*command, "--setting", "steps=1", "--out", "one"]) == 0
    problem = problem_of(7)
    for steps, out in ((5, "five"), (1, "one")):
        ours = ValuationResult.from_json((tmp_path / out / "result.json").read_text())
        theirs = shapley_values(UnlearningGame(problem, "newton", steps=steps, seed=7), seed=7)
        assert list(ours.players) == list(theirs.players)
        for player, mine, yours in zip(ours.players, ours.values, theirs.values, strict=True):
            assert mine == pytest.approx(yours, rel=1e-9), player
        assert dict(ours.settings) == dict(theirs.settings)
        assert ours.settings["steps"] == steps


# The default model is trained by lbfgs, which is not batched.
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_several_settings_of_a_named_unlearner_reach_an_audit(providers, problem_of, tmp_path):
    some = ["provider-1", "provider-2", "provider-5"]
    command = ["audit", *providers[1:], "--valued", *some, "--unlearner", "finetune"]
    assert main([*command, "--setting", "steps=3", "--setting", "lr=0.1"]) == 0
    theirs = audit(UnlearningGame(problem_of(valued=some), "finetune", steps=3, lr=0.1))
    ours = FidelityReport.from_json((tmp_path / "audit" / "audit.json").read_text())
    assert dict(ours.settings) == {"steps": 3, "lr": 0.1, "batch_size": None, "shrink": 0.8}
    np.testing.assert_allclose(ours.unlearned, theirs.unlearned, rtol=1e-9)


BAD = [
    (["--setting", "stps=5"], "unlearner 'newton' has no setting 'stps' (did you mean 'steps'?); it has: steps"),
    (["--unlearner", "newton", "--setting", "stps=5"], "has no setting 'stps' (did you mean 'steps'?)"),
    (["--unlearner", "retrain", "--setting", "steps=5"], "unlearner 'retrain' has no setting"),
    (["--setting", "steps=0"], "steps is 0, but a whole number of at least 1 is needed"),
    (["--setting", "steps=many"], "steps is 'many', but a whole number"),
    (["--setting", "steps=1.5"], "steps is 1.5, but a whole number"),
    (["--setting", "steps=[5]"], "steps is '[5]', but a whole number"),
    (["--setting", "steps"], "argument --setting: 'steps' is not of the form steps=5; see unshap value --help."),
    (["--setting", "steps="], "'steps=' is not of the form"),
    (["--setting", "=5"], "'=5' is not of the form"),
    (["--setting", "steps=5", "--setting", "steps=5"], "--setting gives 'steps' twice"),
    # Keywords of the game are no settings of an unlearner.
    (["--setting", "seed=5"], "unlearner 'newton' has no setting 'seed'"),
    (["--setting", "on_error=exclude"], "unlearner 'newton' has no setting 'on_error'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_a_setting_that_does_not_fit_is_refused(providers, arguments, message, refused):
    assert message in refused([*providers, *arguments])


@pytest.mark.parametrize("command", ["audit", "tune"])
def test_all_commands_about_a_table_check_settings(providers, command, refused):
    assert "did you mean 'steps'?" in refused([command, *providers[1:], "--setting", "stps=5"])


@pytest.mark.parametrize("value", [5, 0.1, 1e-5, -3, True, None, "sgd", "None", "True", "5", "two words", "a=b", ""])
def test_settings_are_read_as_they_are_typed(value):
    option, text = shlex.split(as_options({"name": value}))
    assert option == "--setting"
    name, read = setting(text)
    assert name == "name"
    assert read == value
    assert type(read) is type(value)


def test_a_grid_takes_each_value_as_a_setting_does():
    assert grid_values("lr = 0.1, 1,None,adam") == ("lr", [0.1, 1, None, "adam"])
    assert by_name("--grid", [("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    with pytest.raises(InvalidValueError, match="--grid gives 'a' twice"):
        by_name("--grid", [("a", 1), ("a", 1)])
