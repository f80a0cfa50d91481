import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unshap_plugin import FidelityReport, ValuationResult
from unshap_plugin.cli import value
from unshap_plugin.cli.main import main

OUTPUTS = {"values.csv", "result.json", "values.png"}


def test_providers_with_scrambled_labels_are_last(providers, capsys):
    assert main(providers) == 0
    frame = pd.read_csv("values/values.csv")
    columns = ["player", "value", "std_error", "ci_low", "ci_high", "rank", "rank_low", "rank_high"]
    assert list(frame.columns) == columns
    assert set(frame.sort_values("rank")["player"][-2:]) == {"provider-2", "provider-5"}
    assert (frame["std_error"] == 0).all()
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["player", "value", "std", "error", "95%", "interval", "rank"]
    assert [line.split()[-1] for line in lines[1:9]] == list("12345678")
    for words in (
        "v(all) ",
        "v(none) ",
        "sum ",
        "evaluations  256  (seed 0)",
        "estimator    exact",
        "seconds ",
        "(auto: ",
        "wrote ",
    ):
        assert words in out
    assert {path.name for path in Path("values").iterdir()} == OUTPUTS
    assert Path("values/values.png").read_bytes().startswith(b"\x89PNG")


def test_the_result_reads_back_and_its_values_sum_to_what_was_gained(providers):
    assert main([*providers, "--estimator", "permutation", "--budget", "600"]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    frame = pd.read_csv("values/values.csv")
    assert result.estimator == "permutation"
    assert list(result.players) == list(frame["player"])
    np.testing.assert_allclose(result.values, frame["value"], rtol=1e-12)
    np.testing.assert_allclose(frame["value"].sum(), result.utility_all - result.utility_none)
    assert (result.std_errors > 0).all()
    assert result.metric == "log_likelihood"


def test_targets_are_valued_above_a_background_that_is_always_kept(providers, capsys):
    assert main([*providers, "--valued", "provider-1", "provider-2", "--valued", "provider-3"]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert result.players == ("provider-1", "provider-2", "provider-3")
    assert result.evaluations == 8
    assert result.utility_none > -0.6  # the others are there
    assert "provider-4" not in capsys.readouterr().out


def test_notes_of_the_problem_are_printed(providers, capsys):
    some = ["--valued", *(f"provider-{k}" for k in range(1, 6))]
    assert main([*providers, "--unlearner", "gradient_ascent", "--access", "partial", *some]) == 0
    [note] = ValuationResult.from_json(Path("values/result.json").read_text()).notes
    assert note.startswith("only one set was given beside the training rows: 250 of its 500 rows are the test set")
    assert f"note: {note}" in capsys.readouterr().out.splitlines()


def test_one_group_can_be_a_target(providers):
    frame = pd.read_csv("train.csv").assign(provider="only")
    frame.to_csv("train.csv", index=False)
    assert main([*providers, "--valued", "only"]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    np.testing.assert_allclose(result.values, [result.utility_all - result.utility_none])


@pytest.mark.usefixtures("providers")
def test_rows_can_be_targets_and_a_table_without_a_test_table_is_split(capsys):
    pd.read_csv("train.csv").drop(columns="provider").to_csv("rows.csv", index=False)
    command = ["value", "rows.csv", "--label", "y"]
    assert main([*command, "--budget", "900"]) == 0
    assert "split by the seed into 224 training and 96 test rows" in capsys.readouterr().out
    rows = pd.read_csv("values/values.csv")["player"][:3].astype(str).tolist()
    assert main([*command, "--valued", *rows]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert [str(row) for row in result.players] == rows
    assert result.estimator == "exact"


def test_low_values_find_flipped_labels(capsys):
    assert main(["value", "--example", "breast_cancer", "--flip", "0.2", "--budget", "2400", "--out", "a/b"]) == 0
    out = capsys.readouterr().out
    auc = float(out.split("flipped      AUC ")[1].split()[0])
    assert auc > 0.9
    assert "how well low values find the 40 flipped labels" in out
    table = out.split("95% ranks\n")[1].split("\n\n")[0].splitlines()
    ranks = [line.split()[-3:] if line != "..." else [line] for line in table]  # each with its interval
    assert [one[0] for one in ranks] == [*map(str, range(1, 11)), "...", *map(str, range(191, 201))]
    assert all(int(low[1:-1]) <= int(rank) <= int(high[:-1]) for rank, low, high in ranks[:10])
    assert len(pd.read_csv("a/b/values.csv")) == 200


def test_the_same_seed_gives_the_same_bytes():
    command = ["value", "--example", "iris", "--budget", "900", "--flip", "0.1"]
    for out, seed in (("first", "3"), ("second", "3"), ("third", "4")):
        assert main([*command, "--seed", seed, "--out", out]) == 0
    assert Path("first/values.csv").read_bytes() == Path("second/values.csv").read_bytes()
    assert Path("first/values.csv").read_bytes() != Path("third/values.csv").read_bytes()


@pytest.mark.parametrize("arguments", [[], ["--model", "mlp", "--unlearner", "finetune"], ["--metric", "r2"]])
def test_numbers_are_valued_too(arguments):
    assert main(["value", "--example", "diabetes", "--budget", "800", *arguments]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert result.metric == (arguments[1] if "--metric" in arguments else "neg_mean_squared_error")
    assert result.utility_all > result.utility_none


def test_models_of_ones_own_come_from_the_working_directory(providers, capsys):
    Path("own_models.py").write_text(
        "from torch import nn\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "def net(d, c):\n    return nn.Sequential(nn.Linear(d, 4), nn.Tanh(), nn.Linear(4, c))\n"
        "def tree(d, c):\n    return DecisionTreeClassifier(max_depth=3, random_state=0)\n"
    )
    path = list(sys.path)
    for factory, unlearner in (("net", "finetune"), ("tree", "auto")):
        command = [*providers, "--model", f"own_models:{factory}", "--metric", "accuracy", "--unlearner", unlearner]
        assert main(command) == 0
        result = ValuationResult.from_json(Path("values/result.json").read_text())
        assert result.unlearner == {"auto": "retrain"}.get(unlearner, unlearner)
        assert result.utility_all > 0.75
    assert "DecisionTreeClassifier has no parameters" in capsys.readouterr().out
    assert sys.path == path


def test_a_budget_is_not_exceeded_for_few_players(providers):
    assert main([*providers, "--budget", "100"]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert result.estimator == "stratified"
    assert result.asked <= 100


BAD = [
    (["value"], "no data was given"),
    (["value", "train.csv"], "add --label COLUMN"),
    (["value", "absent.csv", "--label", "y"], "cannot be read (No such file or directory)"),
    (["value", "train.csv", "--label", "Y"], "no label column 'Y'"),
    (
        ["value", "train.csv", "--label", "y", "--group", "provder"],
        "no group column 'provder' (did you mean 'provider'?)",
    ),
    (["value", "lone.csv", "--label", "y", "--group", "provider"], "the single group 'only'"),
    (["value", "train.csv", "--test", "narrow.csv", "--label", "y"], "has no column 'c', which the training table has"),
    (["value", "train.csv", "--test", "strange.csv", "--label", "y", "--group", "provider"], "has class 'maybe'"),
    (["value", "holes.csv", "--label", "y"], "in column 'a' missing, first in row 3"),
    (["value", "infinite.csv", "--label", "y"], "column 'a' of table 'infinite.csv' has 1 entry with infinity"),
    (["value", "header.csv", "--label", "y"], "has no rows below its header"),
    (["value", "one_row.csv", "--label", "y"], "has one row"),
    (["value", "one_class.csv", "--label", "y"], "has the single class 'yes'"),
    (
        ["value", "train.csv", "--label", "y", "--group", "provider", "--valued", "provider-99"],
        "did you mean 'provider-",
    ),
    (["value", "train.csv", "--label", "y", "--valued", "acme"], "--valued has 'acme', which is no row number"),
    (["value", "train.csv", "--label", "y", "--valued", "99999"], "--valued has row 99999, which is not there"),
    (["value", "train.csv", "--label", "y", "--model", "ridge"], "a regression needs numbers"),
    (["value", "train.csv", "--label", "y", "--flip", "0.2", "--group", "provider"], "leave one out"),
    (["value", "train.csv", "--example", "iris"], "--example brings its own rows"),
    (["value", "--example", "iriss"], "unknown example 'iriss' (did you mean 'iris'?)"),
    (["value", "--example", "diabetes", "--flip", "0.2"], "this is a regression"),
    (["value", "--example", "iris", "--flip", "2"], "the share of labels to flip is 2"),
    (["value", "--example", "iris", "--model", "logistik"], "unknown model 'logistik' (did you mean 'logistic'?)"),
    (["value", "--example", "iris", "--model", "no_such_module:f"], "the module 'no_such_module' cannot be imported"),
    (["value", "--example", "iris", "--model", "broken:f"], "cannot be imported (ZeroDivisionError: division by zero)"),
    (["value", "--example", "iris", "--model", "own:modle"], "'own' has nothing of that name (did you mean 'model'?)"),
    (["value", "--example", "iris", "--model", "own:number"], "'own' has a int there"),
    (["value", "--example", "iris", "--model", "own:fails"], "calling it with (4, 3) failed (RuntimeError: no)"),
    (["value", "--example", "iris", "--model", "own:text"], "returned a str, but a torch.nn.Module or an object"),
    (["value", "--example", "iris", "--model", "own:narrow"], "Linear gave outputs [105, 2], but [105, 3] are needed"),
    (["value", "--example", "iris", "--model", "own:wrong_width"], "Linear cannot be trained on this table"),
    (["value", "--example", "iris", "--model", "own:fixed"], "Flatten has no trainable parameters"),
    (["value", "--example", "iris", "--model", "own:regressor"], "Ridge is a regressor, but the labels are classes"),
    (["value", "--example", "diabetes", "--model", "own:classifier"], "is a classifier, but the labels are numbers"),
    (
        ["value", "--example", "iris", "--model", "own:stubborn"],
        "Stubborn cannot be trained on this table (ValueError: no)",
    ),
    (["value", "--example", "iris", "--metric", "acuracy"], "unknown metric 'acuracy' (did you mean 'accuracy'?)"),
    (["value", "--example", "iris", "--metric", "r2"], "metric 'r2' does not fit a classification"),
    (["value", "--example", "iris", "--unlearner", "newtn"], "unknown unlearner 'newtn' (did you mean 'newton'?)"),
    (["value", "--example", "iris", "--estimator", "exat"], "unknown estimator 'exat' (did you mean 'exact'?)"),
    (["value", "--example", "iris", "--estimator", "exact"], "at most 20 are possible"),
    (["value", "--example", "iris", "--budget", "5"], "--budget 5 is too small"),
    (["value", "--example", "iris", "--budget", "many"], "argument --budget: invalid int value: 'many'"),
    (["value", "--example", "iris", "--seed", "-1"], "--seed"),
    (["value", "--example", "iris", "--nonsense"], "unrecognized arguments: --nonsense"),
    (
        ["value", "--example", "iris", "--out", "train.csv"],
        "the output folder 'train.csv' cannot be written (Not a directory",
    ),
    (["value", "--example", "iris", "--out", "train.csv/deep"], "cannot be written (Not a directory"),
    (["value", "--example", "iris", "--out", "/proc/values"], "the output folder '/proc/values' cannot be written"),
    (["audit"], "no data was given"),
    (["audit", "--example", "iris", "--seeds", "1"], "seeds is 1, but a whole number of at least 2 is needed"),
    (["audit", "--example", "iris", "--coalitions", "9"], "--coalitions 9 is too few"),
    (["audit", "--example", "iris", "--unlearner", "newtn"], "did you mean 'newton'?"),
    (["audit", "--example", "iris", "--out", "train.csv"], "cannot be written (Not a directory"),
    (["value", "--example", "iris", "--audit", "5"], "--audit 5 is too few"),
    (["valeu"], "invalid choice: 'valeu'"),
    ([], "the following arguments are required: command"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
@pytest.mark.usefixtures("providers")
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(arguments, message, refused):
    frame = pd.read_csv("train.csv")
    frame.assign(provider="only").to_csv("lone.csv", index=False)
    frame.drop(columns="c").to_csv("narrow.csv", index=False)
    frame.replace({"y": {"no": "maybe"}}).to_csv("strange.csv", index=False)
    frame.assign(a=frame["a"].where(frame.index != 3)).to_csv("holes.csv", index=False)
    frame.assign(a=frame["a"].where(frame.index != 3, np.inf)).to_csv("infinite.csv", index=False)
    frame[:0].to_csv("header.csv", index=False)
    frame[:1].to_csv("one_row.csv", index=False)
    frame[frame["y"] == "yes"].to_csv("one_class.csv", index=False)
    Path("broken.py").write_text("1 / 0\n")
    Path("own.py").write_text(
        "from torch import nn\n"
        "from sklearn.linear_model import LogisticRegression, Ridge\n"
        "number = 3\n"
        "def model(d, c): return nn.Linear(d, c)\n"
        "def fails(d, c): raise RuntimeError('no')\n"
        "def text(d, c): return 'model'\n"
        "def narrow(d, c): return nn.Linear(d, c - 1)\n"
        "def wrong_width(d, c): return nn.Linear(d + 1, c)\n"
        "def fixed(d, c): return nn.Flatten()\n"
        "def regressor(d, c): return Ridge()\n"
        "def classifier(d, c): return LogisticRegression()\n"
        "class Stubborn:\n"
        "    def fit(self, x, y): raise ValueError('no')\n"
        "    def predict(self, x): return x\n"
        "def stubborn(d, c): return Stubborn()\n"
    )
    try:
        assert message in refused(arguments)
    finally:
        sys.modules.pop("own", None)


# The default model is trained by lbfgs, which is not batched.
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_an_audit_prints_figures_by_size_and_a_verdict(providers, capsys):
    assert main(["audit", *providers[1:], "--valued", "provider-1", "provider-2", "provider-5"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    header = ["kept", "coalitions", "error", "+-", "floor", "nothing", "bias", "Spearman", "ceiling"]
    assert lines[0].split() == header
    assert [line.split()[:2] for line in lines[1:5]] == [["none", "1"], ["1", "3"], ["2", "3"], ["all", "1"]]
    assert lines[1].split()[-2:] == ["-", "-"], "one coalition has no ranks"
    assert lines[5].startswith("all sizes           8")
    for words in (
        "unlearner    newton (steps=",
        "verdict      newton is ",
        "retrainings  16  (2 of each",
    ):
        assert words in out
    report = FidelityReport.from_json(Path("audit/audit.json").read_text())
    assert report.players == ("provider-1", "provider-2", "provider-5")
    assert report.complete
    assert f"verdict      {report.verdict}" in out
    frame = pd.read_csv("audit/audit.csv")
    assert list(frame["kept"]) == ["none", "1", "2", "all", "all sizes"]
    np.testing.assert_allclose(frame["error"], report.to_frame()["error"], rtol=1e-12)
    assert {path.name for path in Path("audit").iterdir()} == {"audit.csv", "audit.json", "audit.png"}
    assert Path("audit/audit.png").read_bytes().startswith(b"\x89PNG")


def test_an_audit_takes_the_options_of_value_and_its_own(capsys):
    command = ["audit", "--example", "iris", "--model", "mlp", "--flip", "0.1", "--metric", "accuracy"]
    assert main([*command, "--unlearner", "finetune", "--coalitions", "20", "--seeds", "3", "--seed", "4"]) == 0
    report = FidelityReport.from_json(Path("audit/audit.json").read_text())
    assert (report.unlearner, report.metric, report.seed) == ("finetune", "accuracy", 4)
    assert report.retrain_seeds == (5, 6, 7)
    assert len(report.coalitions) == 18
    out = capsys.readouterr().out
    assert "training labels were flipped" in out
    assert "as far as the audited coalitions show" in out


def test_values_come_with_an_audit_of_the_same_problem(capsys):
    command = ["value", "--example", "iris", "--model", "mlp", "--budget", "900", "--audit", "20"]
    assert main([*command, "--unlearner", "finetune", "--out", "both"]) == 0
    assert main(["audit", *command[1:5], "--coalitions", "20", "--unlearner", "finetune"]) == 0
    first, second = (FidelityReport.from_json(Path(f"{out}/audit.json").read_text()) for out in ("both", "audit"))
    np.testing.assert_array_equal(first.unlearned, second.unlearned)
    np.testing.assert_array_equal(first.retrained, second.retrained)
    said = first.verdict.replace("retrainings='auto'", "--retrain auto")
    assert f"audit        {said}" in capsys.readouterr().out
    assert {path.name for path in Path("both").iterdir()} == OUTPUTS | {"audit.json"}


def test_an_audit_that_is_too_small_is_refused_before_the_values(monkeypatch):
    monkeypatch.setattr(value, "shapley_values", lambda *_args, **_keywords: pytest.fail("valued"))
    assert main(["value", "--example", "iris", "--audit", "5"]) == 2


def test_files_of_an_earlier_run_stay_whole_when_writing_fails(providers, monkeypatch, capsys):
    assert main(providers) == 0
    before = {path.name: path.read_bytes() for path in Path("values").iterdir()}

    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    capsys.readouterr()
    assert main([*providers, "--seed", "1", "--metric", "accuracy"]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("player "), "a full disk costs no result"
    assert "wrote" not in captured.out
    assert "the results cannot be written to 'values'" in captured.err
    assert {path.name: path.read_bytes() for path in Path("values").iterdir()} == before


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupt(*_args, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(value, "shapley_values", interrupt)
    assert main(["value", "--example", "iris"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert not Path("values").exists()


def test_version_and_help(capsys):
    for arguments, words in (
        (["--version"], "unshap 0."),
        (["--help"], "opendataval"),
        (["value", "--help"], "log_likelihood"),
        (["audit", "--help"], "retrainings of each"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        assert words in capsys.readouterr().out


def test_opendataval_that_is_not_installed_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "opendataval", None)
    for name in [name for name in sys.modules if name.startswith(("opendataval.", "unshap_opendataval"))]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["opendataval", "run"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "pip install 'unshap-plugin[opendataval]'" in captured.err


def test_language_models_that_are_not_installed_are_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert main(["text", "--example", "stdlib"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "pip install 'unshap-plugin[transformers]'" in captured.err


@pytest.mark.slow
def test_opendatavals_own_command_lists_these_evaluators():
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    code = """
from unshap_plugin.cli.main import main
for arguments in (["no-such-command"], ["run", "--help"]):
    try:
        print("ended with", main(["opendataval", *arguments]))
    except SystemExit as ended:
        print("ended with", ended.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.findall(r"^ended with (.*)$", done.stdout, re.MULTILINE) == ["2", "0"]
    assert "unlearningshapley" in done.stdout
