"""Tables as people bring them, drawn at random: what is valued is what was meant, or the package's own error says why.

Every draw means something (numbers, categories, providers, labels) and is written in some way that means the same:
separator, encoding, ends of lines, quotes, blanks, decimal commas, orders of columns and rows, spellings of numbers.
Its values are compared with those of refitting scikit-learn's models for every coalition.
"""

from pathlib import Path

import numpy as np
import pytest
from refits import log_likelihood, neg_mean_squared_error, shapley

from unshap_plugin.cli.main import main
from unshap_plugin.results.result import ValuationResult

BLANKS = ["", "", "", " ", "\t", "\u00a0", "\n", "\r\n", " \u2003", "\u200b", "\ufeff"]
NAMES = ["NA", "null", "nan", "N/A", "acme", "bolt & co", "Crème", "x;y", "x, y", 'the "best"', "a|b", "line\nbreak"]
NAMES += ["7", "7.0", "-", "?", "O'Neil", "None", "$x$"]
HEADS = ["height", "weight, kg", "a;b", "NA", "country", "Größe", "x|y", 'so "called"', "1", "two\nlines", "label"]


def some(rng, count):
    """Draw names that are no numbers: among these, ``NA`` is a missing one, and 7.0 is 7."""
    while True:
        names = rng.permutation(NAMES)[:count].tolist()
        others = set(names) - {"NA", "null", "nan", "N/A", "None"}
        if not others or others - {"7", "7.0"}:
            return names


class Meant:
    """What a table means: float features, categories or None, labels, and the owner of each training row."""

    def __init__(self, rng):
        self.classes = int(rng.integers(2, 4)) if rng.random() < 0.6 else 0
        owners, each = int(rng.integers(2, 5)), int(rng.integers(4, 7))
        train, test = owners * each, int(rng.integers(6, 12))
        self.names = some(rng, owners)
        self.owner = np.repeat(np.arange(owners), each)
        numbers = rng.normal(size=(train + test, int(rng.integers(1, 3)))).round(3) * rng.choice([1, 40])
        if rng.random() < 0.3:
            numbers[:, 0] = rng.integers(-3, 4, train + test)
        self.numbers = numbers
        self.kinds = some(rng, int(rng.integers(1, 4))) if rng.random() < 0.6 else []
        self.kind = rng.integers(0, max(len(self.kinds), 1), train + test)
        self.kind[: len(self.kinds)] = np.arange(len(self.kinds))
        if self.classes:
            self.y = rng.integers(0, self.classes, train + test)
            self.y[:train] = np.tile(np.arange(each) % self.classes, owners)  # every provider has every class
            whole = [str(number) for number in rng.permutation(9)[: self.classes]]
            self.labels = whole if rng.random() < 0.5 else some(rng, self.classes)
        else:
            self.y = (numbers.sum(axis=1) + rng.normal(size=train + test)).round(2) + 0.001
        self.rows, self.rows_test = np.arange(train), train + np.arange(test)
        self.valued = sorted(rng.permutation(owners)[: int(rng.integers(1, owners))]) if rng.random() < 0.3 else None

    def values(self):
        """Return the Shapley values, by refitting for every coalition."""
        x, x_test = self._encoded()
        y, y_test = self.y[self.rows], self.y[self.rows_test]
        if not self.classes:
            mean, scale = y.mean(), y.std()
            y, y_test = (y - mean) / scale, (y_test - mean) / scale

        players = list(range(len(self.names))) if self.valued is None else self.valued

        def of(kept):
            whole = np.full(len(self.names), self.valued is not None)
            whole[players] = kept
            rows = whole[self.owner]
            data = x[rows], y[rows], x_test, y_test
            return log_likelihood(*data, self.classes) if self.classes else neg_mean_squared_error(*data)

        return dict(zip((self.names[player] for player in players), shapley(of, len(players)), strict=True))

    def _encoded(self):
        """Return standardised numbers, and categories one by one."""
        train = self.numbers[self.rows]
        scale = train.std(axis=0)
        scaled = (self.numbers - train.mean(axis=0)) / np.where(scale == 0, 1, scale)
        seen = np.unique(self.kind[self.rows]) if self.kinds else []
        hot = np.stack([self.kind == one for one in seen], axis=1) if len(seen) else np.empty((len(scaled), 0))
        x = np.hstack([scaled, hot])
        return x[self.rows], x[self.rows_test]


class Writer:
    """How it is written: what may vary without another meaning."""

    def __init__(self, rng):
        self.rng = rng
        self.separator = str(rng.choice([",", ";", "\t", "|"]))
        self.encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]))
        self.end = str(rng.choice(["\n", "\r\n", "\r"]))
        self.quotes = float(rng.choice([0, 0.3, 1]))
        self.blanks = BLANKS if rng.random() < 0.6 else [""]
        self.comma = self.separator != "," and rng.random() < 0.4

    def number(self, value):
        forms = [f"{value}", f"{value:+.4f}", f"{value:.5e}", f"{value:.3f}000"]
        if value == round(value):
            forms += [f"{value:.0f}", f"{value:.0f}."]
        text = str(self.rng.choice(forms))
        return text.replace(".", ",") if self.comma else text

    def cell(self, text):
        before, after = self.rng.choice(self.blanks, 2)
        text = f"{before}{text}{after}"
        special = any(one in text for one in (*"\r\n,;|\t\"'", self.separator))
        quoted = special or self.rng.random() < self.quotes
        return '"' + text.replace('"', '""') + '"' if quoted else text

    def write(self, path, columns):
        names = list(self.rng.permutation(list(columns)))
        if self.rng.random() < 0.2:
            columns = {**columns, "": [str(k) for k in range(len(columns[names[0]]))]}
            names = ["", *names]
        rows = [names, *zip(*(columns[name] for name in names), strict=True)]
        text = "".join(self.separator.join(map(self.cell, row)) + self.end for row in rows)
        encoding = self.encoding
        if encoding == "cp1252" and text != text.encode(encoding, "ignore").decode(encoding):
            encoding = "utf-8"
        path.write_bytes(text.encode(encoding))


def draw(seed, folder):
    """Write two tables; return what they mean, the command, and what is wrong with them (or None)."""
    rng = np.random.default_rng(seed)
    meant, heads = Meant(rng), rng.permutation(HEADS).tolist()
    group, label, *features = heads
    wrong = str(rng.choice(["missing", "utf-16-le", "commas"])) if rng.random() < 0.15 else None
    for name, rows in (("train", rng.permutation(meant.rows)), ("test", meant.rows_test)):
        writer = Writer(rng)
        columns = {}
        for k in range(meant.numbers.shape[1]):
            columns[features[k]] = [writer.number(value) for value in meant.numbers[rows, k]]
        if meant.kinds:
            columns[features[-1]] = [meant.kinds[k] for k in meant.kind[rows]]
        if meant.classes:
            columns[label] = [meant.labels[k] for k in meant.y[rows]]
        else:
            columns[label] = [writer.number(value) for value in meant.y[rows]]
        if name == "train":
            columns[group] = [meant.names[meant.owner[row]] for row in rows]
            if wrong == "missing":
                gap = rng.choice(features[:1] if rng.random() < 0.5 else list(columns))
                words = ["NA", "null", "n/a", "NaN", ""] if gap == features[0] else ["", " ", "\u00a0"]
                columns[gap][int(rng.integers(len(rows)))] = str(rng.choice(words))
            elif wrong == "utf-16-le":
                writer.encoding = wrong
            elif wrong == "commas":
                columns[features[0]] = [f"{number:,.4f}" for number in 1000 + 1000 * meant.numbers[rows, 0]]
                columns[features[0]][0] = "1,234.5"
        elif rng.random() < 0.3:
            columns["more"] = ["?"] * len(rows)
        writer.write(folder / f"{name}.csv", columns)
    blank = str(rng.choice(BLANKS))
    command = ["value", str(folder / "train.csv"), "--test", str(folder / "test.csv"), "--out", str(folder / "out")]
    command += [f"--label={blank}{label}", f"--group={group}{blank}", "--unlearner", "retrain", "--estimator", "exact"]
    if meant.valued is not None:
        # `--` would end the options: a name may begin with a dash.
        command += [f"--valued={meant.names[k]}{blank}" for k in meant.valued]
    return meant, command, wrong


WORDS = {
    "missing": " missing, first in row ",
    "utf-16-le": "is not a CSV file in UTF-8",
    "commas": "which may be thousands or decimals",
}


def compare(seed, folder, capsys):
    """Value what a seed draws, and compare."""
    meant, command, wrong = draw(seed, folder)
    code, error = main(command), capsys.readouterr().err
    if wrong is not None:
        assert code == 2
        assert WORDS[wrong] in error
        return
    assert code == 0, error
    result = ValuationResult.from_json((folder / "out" / "result.json").read_text(encoding="utf-8"))
    expected = meant.values()
    assert set(result.players) == set(expected)
    np.testing.assert_allclose([result[player] for player in expected], list(expected.values()), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
@pytest.mark.parametrize("seed", range(40))
def test_values_of_a_messy_table_are_those_of_what_was_meant(seed, capsys):
    compare(seed, Path(), capsys)
