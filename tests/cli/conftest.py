"""A table with the rows of eight providers, and commands that are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unshap_plugin import ValuationProblem
from unshap_plugin.cli._models import train_model
from unshap_plugin.cli._tables import read_tables
from unshap_plugin.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scores(seed: int, rows: int) -> pd.DataFrame:
    """Five features, of which two and a category decide a label."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    frame["kind"] = rng.choice(["x", "y"], rows)
    signal = 2 * frame["a"] - frame["b"] + (frame["kind"] == "x")
    frame["y"] = np.where(signal + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return frame


@pytest.fixture
def providers(tmp_path):
    """Eight providers of 40 rows, of which two have labels that say nothing."""
    frame = scores(0, 320)
    frame["provider"] = [f"provider-{i % 8}" for i in range(320)]
    bad = np.flatnonzero((frame["provider"] == "provider-2") | (frame["provider"] == "provider-5"))
    frame.loc[bad, "y"] = np.random.default_rng(1).permutation(frame["y"].to_numpy()[bad])
    frame.to_csv(tmp_path / "train.csv", index=False)
    scores(2, 500).to_csv(tmp_path / "test.csv", index=False)
    return ["value", "train.csv", "--test", "test.csv", "--label", "y", "--group", "provider"]


@pytest.fixture
def problem_of(providers):
    """Make the problem that a command makes of the table of providers."""

    def make(seed=0, rows=slice(None), reference=None, **keywords):
        table = read_tables(Path("train.csv"), Path("test.csv"), reference, label="y", group="provider", seed=seed)
        if reference is not None:
            keywords["reference"] = table.reference[0] if table.reference[1] is None else table.reference
        trained = train_model(None, table, seed)
        train, test = (table.x[rows], table.y[rows]), (table.x_test, table.y_test)
        keywords = {"groups": table.groups[rows], "fit": trained.recipe, **keywords}
        return ValuationProblem(trained.model, train, test, **keywords)

    return make


def _files():
    """All folders and files here, with what is in them."""
    paths = [path for path in Path().rglob("*") if "__pycache__" not in path.parts]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def refused(capsys):
    """Run a command that must be refused in one sentence and leave nothing behind; return the sentence."""

    def run(arguments):
        before = _files()
        capsys.readouterr()
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("unshap: error: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err
        assert _files() == before
        return captured.err

    return run
