"""Issues of negative value, in cleanlab's Datalab."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adapter_checks import AdapterChecks
from cleanlab import Datalab
from problems import breast_cancer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn
from unshap_cleanlab import UnlearningIssueManager
from unshap_cleanlab.labels import labels_for

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, semivalues
from unshap_plugin.errors import BudgetError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import cross_entropy

NAMES = np.array(["cancer", "harmless"])
WRONG = np.arange(50) % 5 == 0
(TRAIN, TRUTH), (TEST, TRUE) = breast_cancer(50, 150, features=30)
LABELS = np.where(WRONG, 1 - TRUTH, TRUTH)
BLANK = LogisticRegression(C=0.1, max_iter=1000)


def datalab(labels=LABELS, **others):
    return Datalab({"tumour": labels}, label_name="tumour", verbosity=0, **others)


def options(labels=LABELS, true=TRUE, **others):
    model = BLANK.fit(TRAIN, labels)
    return {"model": model, "features": TRAIN, "test": (TEST, true), "budget": 800, "semivalue": "banzhaf", **others}


def found(lab=None, **others):
    lab = datalab() if lab is None else lab
    lab.find_issues(issue_types={"negative_value": options(**others)})
    return lab, lab.get_issues("negative_value"), lab.get_info("negative_value")


class TestCleanlab(AdapterChecks):
    framework = "cleanlab"

    def options(self, data, **settings):
        model = LogisticRegression().fit(data.x, data.y)
        return {"model": model, "features": data.x, "test": (data.x_test, data.y_test), **settings}

    def ask(self, data, adapter=None, **settings):
        lab = datalab(data.y)  # of one data set: another one has another
        asked = self.options(data, groups=data.groups, **settings)
        lab.find_issues(issue_types={"negative_value": asked})
        info = lab.get_info("negative_value")
        sums = [info["values"][data.groups == one].sum() for one in np.unique(data.groups)]
        np.testing.assert_allclose(sums, info["result"].values, rtol=1e-12)
        return lab, info["result"].values

    @pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.rename is deprecated")  # their type "label"
    def test_it_works_in_the_framework_s_own_pipeline(self):
        super().test_it_works_in_the_framework_s_own_pipeline()

    def pipeline(self, data):
        lab = datalab(data.y)
        probabilities = LogisticRegression().fit(data.x_test, data.y_test).predict_proba(data.x)
        kinds = {"label": {}, "negative_value": self.options(data, budget=200)}
        lab.find_issues(pred_probs=probabilities, features=data.x, issue_types=kinds)
        assert list(lab.get_issue_summary()["issue_type"]) == ["label", "negative_value"]
        assert len(lab.get_issues()) == 40

    def mistakes(self, data):
        asked = {"negative_value": {"model": BLANK}}
        yield lambda: datalab().find_issues(issue_types=asked), InvalidTypeError, "lacks features and test"
        yield lambda: self.ask(data, budgt=3), InvalidValueError, "budgt"


def test_rows_below_zero_by_more_than_their_error_are_issues():
    lab, issues, info = found()
    problem = ValuationProblem(BLANK.fit(TRAIN, LABELS), (TRAIN, LABELS), (TEST, TRUE))
    expected = semivalues(UnlearningGame(problem), "banzhaf", budget=800)
    np.testing.assert_array_equal(info["values"], expected.values)
    np.testing.assert_array_equal(info["std_errors"], expected.std_errors)
    assert (info["std_errors"] > 0).all()
    _, high = expected.interval()
    np.testing.assert_array_equal(issues["is_negative_value_issue"], high < 0)
    scores = issues["negative_value_score"].to_numpy()
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(high))
    np.testing.assert_array_equal(scores < 0.5, high < 0)
    flagged = issues["is_negative_value_issue"].to_numpy()
    assert 0 < flagged.sum() < 50
    assert flagged[WRONG].mean() > 0.5 > 0.2 > flagged[~WRONG].mean()
    summary = lab.get_issue_summary("negative_value")
    assert float(summary["score"].iloc[0]) == pytest.approx(scores.mean())
    assert int(summary["num_issues"].iloc[0]) == flagged.sum()
    assert info["result"].unlearner == "newton"
    assert info["average_value"] == pytest.approx(expected.values.mean())


def test_a_wider_interval_has_fewer_issues():
    counts = [found(level=level)[1]["is_negative_value_issue"].sum() for level in (0.5, 0.999999)]
    assert counts[0] > counts[1]


def test_it_stands_beside_their_own_types_in_one_report(capsys, tmp_path):
    lab = datalab()
    kinds = {"outlier": {"features": TRAIN}, "data_valuation": {"features": TRAIN}, "negative_value": options()}
    lab.find_issues(features=TRAIN, issue_types=kinds)
    assert set(lab.get_issue_summary()["issue_type"]) == {"outlier", "data_valuation", "negative_value"}
    for verbosity in range(4):
        lab.report(verbosity=verbosity)
    printed = capsys.readouterr().out
    assert "negative_value issues" in printed
    assert "the model would do better on the test rows" in printed
    lab.save(str(tmp_path / "lab"), force=True)
    again = Datalab.load(str(tmp_path / "lab"))
    np.testing.assert_array_equal(again.get_info("negative_value")["values"], lab.get_info("negative_value")["values"])


def test_groups_share_their_value():
    groups = np.arange(50) % 5
    _, issues, info = found(groups=groups)
    result = info["result"]
    assert result.estimator == "exact"
    np.testing.assert_allclose(info["values"], result.values[groups] / 10, rtol=1e-15)
    np.testing.assert_array_equal(info["std_errors"], 0)
    np.testing.assert_array_equal(issues["is_negative_value_issue"], result.values[groups] < 0)


def test_labels_may_have_names():
    _, numbered, _ = found(budget=150)
    _, named, _ = found(datalab(NAMES[LABELS]), labels=NAMES[LABELS], true=NAMES[TRUE], budget=150)
    np.testing.assert_array_equal(named["is_negative_value_issue"], numbered["is_negative_value_issue"])
    np.testing.assert_allclose(named["negative_value_score"], numbered["negative_value_score"], atol=1e-9)
    start = nn.Linear(30, 2).double()
    data = torch.as_tensor(TRAIN), torch.as_tensor(LABELS)
    model = Recipe("lbfgs", lr=1.0, epochs=100, l2=0.1, batch_size=None).train(start, cross_entropy, *data)
    lab, _, of_module = found(datalab(NAMES[LABELS]), true=NAMES[TRUE], model=model, budget=150)
    assert lab.class_names == sorted(NAMES)
    _, _, by_number = found(model=model, budget=150)
    np.testing.assert_array_equal(of_module["values"], by_number["values"])


def test_regression():
    x, y = load_diabetes(return_X_y=True)
    lab = Datalab({"y": y[:40]}, label_name="y", task="regression", verbosity=0)
    asked = {"model": Ridge(0.1).fit(x[:40], y[:40]), "features": x[:40], "test": (x[40:80], y[40:80]), "budget": 400}
    lab.find_issues(issue_types={"negative_value": asked})
    info = lab.get_info("negative_value")
    assert info["result"].metric == "neg_mean_squared_error"
    assert info["result"].unlearner == "linear_exact"
    assert lab.get_issues("negative_value")["negative_value_score"].between(0, 1).all()


def test_values_without_errors_are_ranked_but_no_issues():
    asked = {"estimator": "shapiq:SVARM", "budget": 30, "semivalue": None}
    _, issues, info = found(groups=np.arange(50) % 5, **asked)
    assert np.isnan(info["std_errors"]).all()
    assert not issues["is_negative_value_issue"].any()
    np.testing.assert_array_equal(np.argsort(issues["negative_value_score"]), np.argsort(info["values"]))


def test_what_cannot_be_used_is_refused_before_any_work(counted):
    lab = datalab()
    refused = [
        ({"model": None, "test": None}, InvalidTypeError, "lacks model and test"),
        ({"test": TEST}, InvalidTypeError, "test is a ndarray"),
        ({"level": 1.0}, InvalidValueError, "level is 1.0"),
        ({"metric": {"a": "accuracy", "b": "log_likelihood"}}, InvalidValueError, "measures 2 things"),
        ({"unlearner": "newtn"}, UnknownNameError, "did you mean 'newton'"),
        ({"budgt": 3}, InvalidValueError, "budgt"),
        ({"estimator": "stratifed"}, UnknownNameError, "did you mean 'stratified'"),
        ({"semivalue": "banzaf"}, UnknownNameError, "did you mean 'banzhaf'"),
        ({"budget": -5}, InvalidValueError, "budget is -5"),
        ({"semivalue": "loo", "target_error": 0.1}, InvalidValueError, "leave-one-out values are computed"),
    ]
    for wrong, kind, words in refused:
        with pytest.raises(kind, match=words):
            found(lab, **wrong)
    unlabelled = Datalab({"x": LABELS}, verbosity=0)
    with pytest.raises(InvalidValueError, match="has no labels"):
        found(unlabelled)
    with pytest.raises(InvalidValueError, match="test has the label 'rose'"):
        found(datalab(NAMES[LABELS]), model=nn.Linear(30, 2).double(), true=np.where(TRUE == 1, "rose", NAMES[TRUE]))
    with pytest.raises(InvalidTypeError, match="the labels of test are a int"):
        found(datalab(NAMES[LABELS]), model=nn.Linear(30, 2).double(), true=3)
    with pytest.raises(InvalidTypeError, match="are names, but its task is regression"):
        labels_for(nn.Linear(30, 1), Datalab({"y": ["1.5", "2"]}, "regression", "y", verbosity=0), [1.0])
    assert counted == []


def test_labels_that_are_numbers_as_text_are_found_by_numbers():
    lab = Datalab({"of": ["1", "0", "2"]}, label_name="of", verbosity=0)
    given, true = labels_for(nn.Linear(1, 3), lab, np.array([2, 0]))
    assert (given.tolist(), true.tolist()) == ([1, 0, 2], [2, 0])


def test_scores_of_values_that_are_equal_are_near_one_half():
    twice, labels = np.concatenate([TRAIN[:25]] * 2), np.concatenate([LABELS[:25]] * 2)
    lab = datalab(labels)
    model = BLANK.fit(twice, labels)
    asked = {"model": model, "features": twice, "test": (TEST, TRUE), "groups": np.arange(50) // 25}
    lab.find_issues(issue_types={"negative_value": asked})
    scores = lab.get_issues("negative_value")["negative_value_score"]
    assert np.ptp(lab.get_info("negative_value")["values"]) < 1e-12
    assert (np.abs(scores - 0.5) < 0.01).all()


def test_what_fails_later_is_printed_by_datalab_in_one_sentence(capsys):
    lab, manager = datalab(), UnlearningIssueManager(datalab(), **options(budget=2))
    lab.find_issues(issue_types={"negative_value": options(budget=2)})
    with pytest.raises(BudgetError, match="budget=2 is too small") as caught:
        manager.find_issues()
    assert f"Error in negative_value: {caught.value}" in capsys.readouterr().out
