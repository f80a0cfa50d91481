"""What a command leaves in its folder, and what it says of it."""

from pathlib import Path

import pandas as pd
import pytest

from unshap_plugin.cli.main import main

VALUE = ["value", "--example", "iris", "--budget", "800"]
NAMES = {"values.csv", "result.json", "values.png"}


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


@pytest.mark.slow
def test_an_earlier_run_is_replaced_and_its_audit_removed_and_both_are_said(capsys):
    assert main([*VALUE, "--audit", "20", "--model", "mlp", "--unlearner", "finetune"]) == 0
    assert "earlier run" not in capsys.readouterr().out
    Path("values/mine.txt").write_text("notes")
    before = Path("values/values.csv").read_bytes()
    assert main(VALUE) == 0
    out = capsys.readouterr().out
    assert "replaced     values/values.csv, values/result.json, values/values.png of an earlier run\n" in out
    assert "removed      values/audit.json of an earlier run\n" in out
    assert names("values") == NAMES | {"mine.txt"}
    assert Path("values/values.csv").read_bytes() != before


@pytest.mark.slow
def test_what_is_new_replaces_nothing(capsys):
    assert main([*VALUE, "--save-artifacts", "sums.npz"]) == 0
    assert "wrote        sums.npz\n" in capsys.readouterr().out
    Path("values/values.csv").unlink()
    assert main([*VALUE, "--save-artifacts", "sums.npz"]) == 0
    out = capsys.readouterr().out
    assert "replaced     values/result.json, values/values.png of an earlier run\n" in out
    assert "replaced     sums.npz\n" in out


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("value", "audit.csv"),
        ("value", "audit.png"),
        ("value", "tune.csv"),
        ("audit", "values.csv"),
        ("audit", "result.json"),
        ("tune", "audit.json"),
        ("tune", "values.png"),
    ],
)
def test_results_of_another_command_do_not_stand_beside_new_ones(command, there, refused):
    Path("out").mkdir()
    Path("out", there).write_text("old")
    message = refused([command, "--example", "iris", "--out", "out"])
    assert f"the output folder 'out' holds {there} of another command" in message


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_what_is_advised_where_results_of_another_command_are_there_helps(refused):
    assert main(["audit", "--example", "iris", "--coalitions", "20", "--out", "out"]) == 0
    refused([*VALUE, "--out", "out"])
    assert main([*VALUE, "--out", "another"]) == 0  # give another --out
    for path in list(Path("out").iterdir()):
        path.unlink()
    assert main([*VALUE, "--out", "out"]) == 0  # or move that file away


@pytest.mark.parametrize("role", ["train", "test", "reference"])
@pytest.mark.parametrize("spelling", ["values.csv", "./values.csv", "folder/../values.csv", "link.csv"])
@pytest.mark.usefixtures("providers")
def test_an_input_is_never_overwritten(role, spelling, refused):
    Path("folder").mkdir()
    Path("train.csv").rename("values.csv")
    Path("link.csv").hardlink_to("values.csv")
    files = {"train": "test.csv", "test": "test.csv", role: spelling}
    options = [option for name in ("test", "reference") if name in files for option in (f"--{name}", files[name])]
    message = refused(["value", files["train"], *options, "--label", "y", "--out", "."])
    assert f"'values.csv' would be overwritten, but it is the {role} file that is read: give another --out" in message


@pytest.mark.usefixtures("providers")
def test_stored_sums_overwrite_neither_an_input_nor_a_result(refused):
    command = ["value", "train.csv", "--label", "y", "--group", "provider"]
    message = refused([*command, "--save-artifacts", "train.csv"])
    assert "it is the train file that is read: give another --save-artifacts" in message
    Path("values").mkdir()
    message = refused([*command, "--save-artifacts", "values/values.csv"])
    assert "--save-artifacts and --out would both write 'values/values.csv': give another --save-artifacts" in message
    assert main([*command, "--save-artifacts", "values/sums.npz"]) == 0


@pytest.mark.usefixtures("providers")
def test_names_with_line_breaks_do_not_break_the_table(capsys):
    frame = pd.read_csv("train.csv")
    odd = {"provider-1": "acme\nlimited", "provider-2": "bolt\u2028ltd\x1b[31m", "provider-3": "tab\tbed"}
    frame["provider"] = frame["provider"].replace(odd)
    frame.to_csv("train.csv", index=False)
    assert main(["value", "train.csv", "--test", "test.csv", "--label", "y", "--group", "provider"]) == 2
    assert "the control character '\\x1b'" in capsys.readouterr().err
    frame.replace({"provider": {"bolt\u2028ltd\x1b[31m": "bolt\u2028ltd"}}).to_csv("train.csv", index=False)
    assert main(["value", "train.csv", "--test", "test.csv", "--label", "y", "--group", "provider"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len({len(line) for line in lines[:9]}) == 1
    assert {line.split("  ")[0] for line in lines[:9]} >= {"acme\\nlimited", "bolt\\u2028ltd", "tab\\tbed"}
    assert "acme\nlimited" in set(pd.read_csv("values/values.csv")["player"])
