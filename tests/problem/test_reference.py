"""The reference set and the test set share no row, unless the user says so."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import breast_cancer, early_stopped
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from unshap_plugin import UnlearningGame, ValuationProblem, ValuationResult, compute_artifacts, shapley_values
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.plugin import Access
from unshap_plugin.unlearners import GradientAscent

(X, Y), (XT, YT) = breast_cancer(rows=40, tests=100)
TEST, OTHERS = (XT[:60], YT[:60]), (XT[60:], YT[60:])
GROUPS = np.array(list("abcd") * 10)

#: What is said where the number of rows that the model was trained on is not.
UNTOLD = {
    "full": (),
    "partial": (
        "how many rows the model was trained on is not known: the 40 at hand were taken for all of them, and if there "
        "were more, values are far too large; say how many, with trained_rows.",
    ),
}


def make(train=(X, Y), test=TEST, **kwargs):
    torch.manual_seed(0)
    return ValuationProblem(nn.Linear(6, 2).double(), train, test, **kwargs)


def rows(x):
    return {row.numpy().tobytes() for row in x}


def test_a_disjoint_reference_set_stays_as_it_is():
    for reference in (OTHERS, OTHERS[0]):
        for access in ("full", "partial"):
            problem = make(reference=reference, access=access)
            assert np.array_equal(problem.reference[0].numpy(), OTHERS[0])
            assert np.array_equal(problem.x_test.numpy(), TEST[0])
            assert problem.notes == UNTOLD[access]
    assert problem.reference[1] is None


def test_shared_rows_are_left_out_with_one_warning():
    x, y = np.concatenate([OTHERS[0], TEST[0][:3], X[:2]]), np.concatenate([OTHERS[1], TEST[1][:3], Y[:2]])
    with pytest.warns(UserWarning, match="5 of 45 reference rows are test or training rows too") as caught:
        problem = ValuationProblem(nn.Linear(6, 2).double(), (X, Y), TEST, reference=(x[::-1], y[::-1]))
    assert len(caught) == 1
    assert "reference='test'" in str(caught[0].message)
    assert caught[0].filename == __file__, "it points to the caller"
    assert np.array_equal(problem.reference[0].numpy(), OTHERS[0][::-1])
    assert np.array_equal(problem.reference[1].numpy(), OTHERS[1][::-1])
    with pytest.warns(UserWarning, match="5 of 45"):
        assert np.array_equal(make(reference=x).reference[0].numpy(), OTHERS[0])


@pytest.mark.parametrize("reference", [TEST, TEST[0][:7], (X[:3], Y[:3])])
def test_a_reference_set_of_shared_rows_alone_is_an_error(reference):
    with pytest.raises(
        InvalidValueError, match=r"reference rows are test or training rows too: .* reference='test' if"
    ):
        make(reference=reference)


def test_the_user_may_insist():
    for access in ("full", "partial"):
        problem = make(reference="test", access=access)
        assert torch.equal(problem.reference[0], problem.x_test)
        assert torch.equal(problem.reference[1], problem.y_test)
        assert len(problem.y_test) == 60
        assert problem.notes == UNTOLD[access]
        assert Access.REFERENCE in problem.available
    with pytest.raises(UnknownNameError, match=r"unknown reference 'tset' \(did you mean 'test'\?\)"):
        make(reference="tset")


def test_full_access_without_a_reference_set_has_none():
    problem = make()
    assert problem.reference is None
    assert problem.notes == ()
    assert np.array_equal(problem.x_test.numpy(), TEST[0])


def test_in_partial_access_the_test_set_is_split():
    problem, again = make(access="partial"), make(access="partial")
    assert torch.equal(problem.x_test, again.x_test)
    assert torch.equal(problem.reference[0], again.reference[0])
    assert (len(problem.y_test), len(problem.reference[1])) == (30, 30)
    both = rows(problem.x_test) | rows(problem.reference[0])
    assert both == rows(torch.as_tensor(TEST[0]))
    assert not rows(problem.x_test) & rows(problem.reference[0])
    for x, y in ((problem.x_test, problem.y_test), problem.reference):
        for row, label in zip(x, y, strict=True):
            [place] = np.flatnonzero((TEST[0] == row.numpy()).all(axis=1))
            assert TEST[1][place] == label, "rows keep their labels"
    [note, untold] = problem.notes
    assert (untold,) == UNTOLD["partial"]
    assert note == (
        "only one set was given beside the training rows: 30 of its 60 rows are the test set, and 30 others the "
        "reference set."
    )
    assert problem.available == Access.FORGET | Access.REFERENCE


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=4, max_size=40), st.integers(0, 100))
def test_the_halves_have_their_share_of_every_class(labels, seed):
    x = np.random.default_rng(seed).standard_normal((len(labels), 6))
    problem = make(test=(x, np.array(labels)), access="partial")
    for label in (0, 1):
        mine, other = ((y == label).sum().item() for y in (problem.y_test, problem.reference[1]))
        assert mine + other == labels.count(label)
        assert abs(mine - other) <= 1
    assert 0 <= len(problem.y_test) - len(problem.reference[1]) <= 1


def test_numbers_are_split_too():
    torch.manual_seed(0)
    y = np.random.default_rng(0).standard_normal((40, 1))
    kwargs = {"loss": "mse", "metric": "neg_mean_squared_error", "access": "partial"}
    problem = ValuationProblem(nn.Linear(6, 1).double(), (X, y), (TEST[0][:40], y), **kwargs)
    assert (len(problem.y_test), len(problem.reference[1])) == (20, 20)


def test_a_small_test_set_is_not_split():
    for k in (1, 3):
        problem = make(test=(TEST[0][:k], TEST[1][:k]), access="partial")
        assert problem.reference is None
        assert len(problem.y_test) == k
        assert problem.notes == (
            f"there is no reference set: the {k} test rows are too few to split.",
            *UNTOLD["partial"],
        )


def test_rows_that_occur_twice_are_in_one_half_only():
    twice = np.concatenate([TEST[0], TEST[0]]), np.concatenate([TEST[1], TEST[1]])
    problem = make(test=twice, access="partial")
    assert not rows(problem.x_test) & rows(problem.reference[0])
    assert f"and {len(problem.reference[1])} others the reference set" in problem.notes[0]
    problem = make(test=(X, Y), access="partial")
    assert problem.reference is None
    assert problem.notes[0].endswith("and there is no reference set, since the others are test or training rows too.")


def test_a_dict_of_tensors_is_split_and_compared_alike():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 2).double()

        def forward(self, x, scale):
            return self.layer(x) * scale

    def pieces(x):
        return {"x": x, "scale": np.ones((len(x), 1))}

    problem = ValuationProblem(Model(), (pieces(X), Y), (pieces(TEST[0]), TEST[1]), access="partial")
    assert problem.reference[0].keys() == {"x", "scale"}
    assert len(problem.reference[0]["x"]) == len(problem.x_test["x"]) == 30
    shared = pieces(np.concatenate([TEST[0][:1], OTHERS[0]]))
    with pytest.warns(UserWarning, match="1 of 41 reference rows"):
        ValuationProblem(Model(), (pieces(X), Y), (pieces(TEST[0]), TEST[1]), reference=shared)


def test_notes_reach_the_result_and_its_json():
    problem = make(access="partial", groups=GROUPS, metric="log_likelihood")
    result = shapley_values(UnlearningGame(problem, "gradient_ascent"), "exact")
    assert result.notes == problem.notes
    assert len(result.notes) == 2
    again = ValuationResult.from_json(result.to_json())
    assert again.notes == result.notes
    assert make(groups=GROUPS).notes == ()


def test_the_data_that_was_given_is_not_changed():
    given_x, given_y = torch.as_tensor(TEST[0]).clone(), torch.as_tensor(TEST[1]).clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(test=(given_x, given_y), access="partial")
    assert np.array_equal(given_x.numpy(), TEST[0])
    assert np.array_equal(given_y.numpy(), TEST[1])


def test_the_share_that_is_forgotten_is_that_of_all_rows_the_model_was_trained_on():
    problem = early_stopped()
    half = np.arange(20)
    data = (problem.x[:20], problem.y[:20]), (problem.x_test, problem.y_test)
    some = np.ones((1, 20), dtype=bool)
    some[0, :5] = False
    moved = {}
    for rows in (20, 40):
        partial = ValuationProblem(problem.model, *data, access="partial", fit=problem.recipe, trained_rows=rows)
        assert partial.trained_rows == rows
        state = GradientAscent().unlearn(partial, some, 0).state
        moved[rows] = float(sum((p - problem.engine.theta0[n]).square().sum() for n, p in state.items())) ** 0.5
    assert 0.4 < moved[40] / moved[20] < 0.6
    unknown = ValuationProblem(problem.model, *data, access="partial")
    assert unknown.trained_rows == len(half)
    stored = ValuationProblem(
        problem.model, *data, access="partial", fit=problem.recipe, artifacts=compute_artifacts(problem)
    )
    assert stored.trained_rows == 40


@pytest.mark.parametrize(("access", "rows"), [("full", 39), ("full", 41), ("partial", 39)])
def test_a_number_of_rows_that_cannot_be_is_refused(access, rows):
    problem = early_stopped()
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    with pytest.raises(InvalidValueError, match=rf"^trained_rows is {rows}, but 40 rows are at hand: leave it out"):
        ValuationProblem(problem.model, *data, access=access, trained_rows=rows)


def test_a_list_of_rows_and_labels_is_a_pair_as_everywhere():
    for one in (list(OTHERS), [torch.as_tensor(OTHERS[0]), OTHERS[1].tolist()], [pd.DataFrame(OTHERS[0]), OTHERS[1]]):
        x, y = make(reference=one).reference
        np.testing.assert_array_equal(x.numpy(), OTHERS[0])
        np.testing.assert_array_equal(y.numpy(), OTHERS[1])
    for one in (OTHERS[0][:2].tolist(), list(OTHERS[0][:2])):
        x, y = make(reference=one).reference
        assert y is None
        assert len(x) == 2


def test_a_list_of_rows_and_labels_is_a_pair_for_objects_too():
    model = KNeighborsClassifier().fit(X, Y)
    assert len(ValuationProblem(model, (X, Y), TEST, reference=list(OTHERS)).reference[1]) == 40


def of_digits(model, x, y, **kwargs):
    return ValuationProblem(model, (x[:60], y[:60]), (x[120:180], y[120:180]), access="partial", **kwargs)


def test_a_reference_set_that_is_unlike_the_rows_at_hand_is_noted():
    x, y = load_digits(return_X_y=True)
    model = LogisticRegression(C=1e-3, max_iter=1000).fit(x[:120], y[:120])
    alike = of_digits(model, x, y, reference=x[200:400], trained_rows=120)
    assert not alike.notes
    [note] = of_digits(model, x, y, reference=x[200:400] / 4, trained_rows=120).notes
    assert note.startswith("the given model is less sure of the reference set than of the rows at hand")
