from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unshap_plugin import UnlearningGame, ValuationResult, compute_artifacts, shapley_values
from unshap_plugin.cli import value
from unshap_plugin.cli.main import main
from unshap_plugin.problem.artifacts import Artifacts

SOME = ["provider-1", "provider-2", "provider-5"]
PARTIAL = ["--valued", *SOME, "--access", "partial"]


def result(out="values"):
    return ValuationResult.from_json(Path(out, "result.json").read_text())


def assert_same(ours, theirs):
    """The players, values and what they are of, index by index."""
    assert list(ours.players) == list(theirs.players)
    # The rows may lie in memory in another order, in which sums are rounded otherwise.
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.utility_none, theirs.utility_none, rtol=1e-9)
    assert (ours.unlearner, ours.notes) == (theirs.unlearner, theirs.notes)


@pytest.fixture
def rows(providers):
    """Which training rows are at hand."""
    return np.flatnonzero(np.isin(pd.read_csv("train.csv")["provider"].to_numpy(dtype=str), SOME))


@pytest.fixture
def reference(providers):
    """A table of other rows, with labels."""
    frame = pd.read_csv("test.csv")
    frame[300:].to_csv("reference.csv", index=False)
    frame[:300].to_csv("test.csv", index=False)
    return Path("reference.csv")


def test_valued_players_stand_above_a_background(providers, problem_of):
    assert main([*providers, "--valued", *SOME]) == 0
    assert_same(result(), shapley_values(UnlearningGame(problem_of(valued=SOME))))
    assert result().unlearner == "newton"


def test_valued_rows_are_numbered_as_in_the_table(providers, problem_of):
    theirs = shapley_values(UnlearningGame(problem_of(groups=None, valued=[7, 3, 300])))
    pd.read_csv("train.csv").drop(columns="provider").to_csv("train.csv", index=False)
    assert main([*providers[:-2], "--valued", "7", "3", "--valued", "300"]) == 0
    assert_same(result(), theirs)
    assert list(result().players) == [7, 3, 300]


@pytest.mark.parametrize("labelled", [True, False])
def test_partial_access_with_a_reference_table(providers, problem_of, rows, reference, labelled):
    table = pd.read_csv(reference)
    if not labelled:
        table.drop(columns="y").to_csv(reference, index=False)
    assert main([*providers, *PARTIAL, "--reference", str(reference)]) == 0
    problem = problem_of(rows=rows, reference=reference, valued=SOME, access="partial", trained_rows=320)
    assert (problem.reference[1] is not None) == labelled
    assert_same(result(), shapley_values(UnlearningGame(problem)))
    assert result().unlearner == "pseudo_background"
    assert result().notes == ()


def test_partial_access_without_a_reference_takes_half_of_the_test_rows(providers, problem_of, rows, capsys):
    assert main([*providers, *PARTIAL]) == 0
    problem = problem_of(rows=rows, valued=SOME, access="partial", trained_rows=320)
    assert_same(result(), shapley_values(UnlearningGame(problem)))
    [note] = result().notes
    assert f"note: {note}" in capsys.readouterr().out.splitlines()


def test_stored_artefacts_stand_in_for_the_rows_that_are_not_at_hand(providers, problem_of, rows, reference):
    assert main([*providers, "--save-artifacts", "all.safetensors", "--out", "full"]) == 0
    stored, whole = Artifacts.load("all.safetensors"), problem_of()
    for name, tensor in compute_artifacts(whole).tensors().items():
        np.testing.assert_allclose(stored.tensors()[name], tensor, rtol=1e-9, atol=1e-12)
    assert len(stored) == 320
    assert_same(result("full"), shapley_values(UnlearningGame(whole)))

    command = [*providers, *PARTIAL, "--reference", str(reference), "--artifacts", "all.safetensors"]
    assert main([*command, "--unlearner", "newton", "--out", "partial"]) == 0
    keywords = {"valued": SOME, "access": "partial", "artifacts": "all.safetensors"}
    problem = problem_of(rows=rows, reference=reference, **keywords)
    ours = result("partial")
    assert_same(ours, shapley_values(UnlearningGame(problem, "newton")))
    with_all_rows = shapley_values(UnlearningGame(problem_of(valued=SOME), "newton", steps=1))
    np.testing.assert_allclose(ours.values, with_all_rows.values, rtol=1e-6)
    assert main([*command, "--out", "auto"]) == 0
    assert_same(result("auto"), ours)
    assert "stored artefacts stand in" in result("auto").reasons["unlearner"]


BAD = [
    (["--access", "partial"], "but none were named: add --valued GROUP, or leave out --access"),
    ([*PARTIAL, "--save-artifacts", "x"], "--save-artifacts sums over all training rows, but --access partial hides"),
    ([*PARTIAL, "--audit", "20"], "--audit retrains on all training rows, but --access partial hides"),
    (["--artifacts", "good"], "with --access full all of them are: leave it out, or add --access partial"),
    (["--access", "half"], "argument --access: invalid choice: 'half'"),
    ([*PARTIAL, "--unlearner", "newton"], "unlearner 'newton' needs access to RETAIN"),
    ([*PARTIAL, "--unlearner", "retrain"], "unlearners that would work: "),
    ([*PARTIAL, "--model", "own:tree"], "needs access to RETAIN"),
    ([*PARTIAL, "--reference", "absent.csv"], "cannot be read (No such file or directory)"),
    ([*PARTIAL, "--reference", "narrow.csv"], "has no column 'c', which the training table has"),
    ([*PARTIAL, "--reference", "train.csv"], "rows of table 'train.csv' are training rows"),
    ([*PARTIAL, "--reference", "test.csv"], "reference"),
    ([*PARTIAL, "--artifacts", "absent"], "the artefacts file 'absent' cannot be read (No such file"),
    ([*PARTIAL, "--artifacts", "."], "the artefacts file '.' cannot be read"),
    ([*PARTIAL, "--artifacts", "train.csv"], "the artefacts file 'train.csv' cannot be read"),
    ([*PARTIAL, "--artifacts", "cut"], "the artefacts file 'cut' cannot be read"),
    ([*PARTIAL, "--artifacts", "empty"], "the artefacts file 'empty' cannot be read"),
    ([*PARTIAL, "--artifacts", "flipped"], "the artefacts file 'flipped' is damaged"),
    ([*PARTIAL, "--artifacts", "good", "--model", "mlp"], "the artefacts are those of another model"),
    ([*PARTIAL, "--artifacts", "good", "--model", "own:tree"], "artefacts are of torch modules"),
    (["--save-artifacts", "x", "--model", "own:tree"], "artefacts are of torch modules"),
    (["--save-artifacts", "nowhere/x"], "lies in 'nowhere', which is no folder: give the path of a file"),
    (["--save-artifacts", "."], "the file '.' of --save-artifacts is a folder"),
    (["--save-artifacts", "/proc/x"], "cannot be written"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_what_contradicts_or_is_damaged_is_refused(providers, arguments, message, refused, monkeypatch):
    pd.read_csv("test.csv").drop(columns="c").to_csv("narrow.csv", index=False)
    Path("own.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n"
        "def tree(d, c): return DecisionTreeClassifier(random_state=0)\n"
    )
    assert main([*providers, "--save-artifacts", "good"]) == 0
    content = bytearray(Path("good").read_bytes())
    Path("cut").write_bytes(content[: len(content) // 2])
    Path("empty").write_bytes(b"")
    content[-3] ^= 1
    Path("flipped").write_bytes(content)
    monkeypatch.setattr(value, "shapley_values", lambda *_args, **_keywords: pytest.fail("valued"))
    assert message in refused([*providers, *arguments])


def test_nothing_is_stored_when_the_values_cannot_be_written(providers, monkeypatch, capsys):
    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    assert main([*providers, "--save-artifacts", "all.safetensors"]) == 2
    assert "the results cannot be written to 'values'" in capsys.readouterr().err
    assert {path.name for path in Path().rglob("*") if path.is_file()} == {"train.csv", "test.csv"}


def test_values_are_kept_when_the_artefacts_cannot_be_written(providers, monkeypatch, capsys):
    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    Path("all.safetensors").write_bytes(b"of an earlier run")
    monkeypatch.setattr("unshap_plugin.problem.artifacts.save_file", full)
    assert main([*providers, "--save-artifacts", "all.safetensors"]) == 2
    captured = capsys.readouterr()
    assert "the artefacts cannot be written to 'all.safetensors' ([Errno 28] No space left on device)" in captured.err
    assert captured.err.count("\n") == 1
    assert len(result().players) == 8
    assert Path("all.safetensors").read_bytes() == b"of an earlier run"
