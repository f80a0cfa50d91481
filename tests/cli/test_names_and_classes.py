"""Countries and providers called NA, and letters that are numbered: their values are those of refitting."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refits import log_likelihood, shapley

from unshap_plugin.cli.main import main
from unshap_plugin.results.result import ValuationResult

PROVIDERS = ["alpha", "beta", "gamma"]


def refitted(x, y, owner):
    """Return the values of three owners, each of whom has all classes, measured on their own rows."""
    return shapley(lambda kept: log_likelihood(x[kept[owner]], y[kept[owner]], x, y, len(np.unique(y))), 3)


def valued(frame, *more, quoted=False):
    """Value the rows of a table, by retraining, on these very rows."""
    text = ",".join(frame) + "\n"
    for row in zip(*frame.to_dict("list").values(), strict=True):
        text += ",".join(f'"{entry}"' if quoted else str(entry) for entry in row) + "\n"
    Path("t.csv").write_text(text)
    command = ["value", "t.csv", "--test", "t.csv", "--label", "label", "--group", "prov", "--unlearner", "retrain"]
    assert main([*command, *more]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    return result, np.array([result[player] for player in result])


@pytest.fixture
def countries():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 60)).round(4)
    country = np.where(rng.random(60) < 0.3, "NA", "ZA")
    label = np.where(a + b > 0, "yes", "no")
    return pd.DataFrame({"a": a, "b": b, "country": country, "prov": np.resize(PROVIDERS, 60), "label": label})


def expected(frame):
    x = frame[["a", "b"]].to_numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    hot = pd.get_dummies(frame["country"]).to_numpy(dtype=float)
    x, y = np.hstack([x, hot]), (frame["label"] == frame["label"].max()).to_numpy().astype(int)
    return refitted(x, y, np.arange(60) % 3)


pytestmark = pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")


@pytest.mark.parametrize("quoted", [False, True])
def test_a_country_called_na_is_a_country(countries, quoted):
    result, values = valued(countries, quoted=quoted)
    assert list(result) == PROVIDERS
    np.testing.assert_allclose(values, expected(countries), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["NA", "null", "N/A", "nan"])
def test_a_provider_or_a_class_of_that_name_is_one(countries, name):
    wanted = expected(countries)
    result, values = valued(countries.replace({"prov": {"alpha": name}}))
    assert set(result) == {name, "beta", "gamma"}
    np.testing.assert_allclose([result[one] for one in (name, "beta", "gamma")], wanted, rtol=0, atol=1e-6)
    _, values = valued(countries.replace({"label": {"yes": name}}))
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-6)


def test_that_provider_can_be_the_only_one_that_is_valued(countries):
    whole, _ = valued(countries.replace({"prov": {"alpha": "NA"}}))
    alone, _ = valued(countries.replace({"prov": {"alpha": "NA"}}), "--valued", "NA")
    assert alone.players == ("NA",)
    assert alone.utility_all == whole.utility_all


@pytest.fixture
def letters():
    """Twenty-six of them, as points around a circle."""
    rng, number = np.random.default_rng(2), 7 * np.arange(520) % 26
    a, b = (turn(number) + rng.normal(size=520) / 9 for turn in (np.cos, np.sin))
    return pd.DataFrame({"a": a.round(4), "b": b.round(4), "prov": np.resize(PROVIDERS, 520), "label": number})


@pytest.mark.parametrize("spelling", ["{}", "{}.0", "{:02d}", "letter {:02d}"])
def test_letters_that_are_numbered_are_classes(letters, spelling):
    x = letters[["a", "b"]].to_numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    wanted = refitted(x, letters["label"].to_numpy(), np.arange(520) % 3)
    result, values = valued(letters.assign(label=[spelling.format(one) for one in letters["label"]]))
    assert result.metric == "log_likelihood"
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-6)


def test_a_metric_for_classes_fits_them_and_a_regression_is_there_if_asked(letters, capsys):
    assert valued(letters, "--metric", "accuracy")[0].metric == "accuracy"
    out = capsys.readouterr().out
    assert "26 different whole numbers in 520 rows: they were taken as classes, which --task regression changes" in out
    assert valued(letters, "--task", "regression")[0].metric == "neg_mean_squared_error"
