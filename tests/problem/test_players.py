"""Labels of groups are kept apart, or refused."""

# ruff: noqa: E501
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.problem.players import players_of

MERGED = {
    "a number and its digits": ([1, "1", 2], r"groups has the labels 1 and '1', which could not be told apart: use labels of one type"),
    "true and one": ([True, 1, 0], "the labels True and 1"),
    "false and zero": ([2, 0.0, False], "the labels 0.0 and False"),
    "true and its name": ([True, "True", "a"], "the labels True and 'True'"),
    "large numbers among fractions": ([2**60, 2**60 + 1, 0.5], "the labels 1152921504606846976 and 1152921504606846977"),
    "a date and its text": ([pd.Timestamp("2020-01-01"), "2020-01-01 00:00:00", "x"], "Timestamp"),
    "a column of both": (pd.Series([1, "1", 2], dtype=object), "the labels 1 and '1'"),
}  # fmt: skip


@pytest.mark.parametrize(("groups", "message"), MERGED.values(), ids=MERGED)
def test_labels_that_would_be_one_player_are_refused(groups, message):
    with pytest.raises(InvalidValueError, match=message):
        players_of(groups, None, 3, alone=False)
    players, numbers = players_of([repr(one) for one in groups], None, 3, alone=False)
    assert len(players) == len(set(numbers)) == 3, "text, as advised, keeps them apart"


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("others", [["a", "b"], [1, 2], [1.5, 2.5]])
def test_missing_labels_are_refused(missing, others):
    with pytest.raises(InvalidValueError, match="groups has no label in 1 rows: every row needs one"):
        players_of([missing, *others], None, 3, alone=False)


def test_numbers_of_any_type_that_are_equal_are_one_player():
    assert players_of([1, 1.0, np.int64(1), 2], None, 4, alone=False)[0] == [1.0, 2.0]
    assert players_of(pd.Series([True, False, True]), None, 3, alone=False)[0] == [False, True]
    assert players_of([np.True_, False, True], None, 3, alone=False)[0] in ([False, True], ["False", "True"])


@given(
    st.lists(
        st.one_of(st.integers(), st.booleans(), st.text(max_size=2), st.floats(allow_nan=False)), min_size=2, max_size=8
    )
)
def test_rows_are_of_one_player_only_where_their_labels_are_equal(groups):
    try:
        players, numbers = players_of(groups, None, len(groups), alone=True)
    except InvalidValueError:
        return
    assert (numbers >= 0).all()
    for a, k in zip(groups, numbers, strict=True):
        for b, other in zip(groups, numbers, strict=True):
            if k == other:
                assert a == b
                assert isinstance(a, bool) == isinstance(b, bool)
    assert len(players) == len(set(numbers.tolist()))


def test_valued_groups_are_told_by_type():
    with pytest.raises(
        InvalidValueError, match=r"valued names '1', which is not among the groups; the groups are 1, 2"
    ):
        players_of([1, 2, 1], ["1"], 3, alone=False)
    with pytest.raises(
        InvalidValueError, match="valued names True, which is not among the groups; the groups are 1, 2"
    ):
        players_of([1, 2, 1], [True], 3, alone=False)
    with pytest.raises(
        InvalidValueError, match=r"valued names 'acm', which is not among the groups \(did you mean 'acme'\?\)"
    ):
        players_of(["acme", "bolt"], ["acm"], 2, alone=False)
    assert players_of([1, 2, 1], [1], 3, alone=False)[0] == [1]


def test_a_table_is_no_list_of_labels():
    with pytest.raises((InvalidTypeError, InvalidValueError), match="groups"):
        players_of(pd.DataFrame({"provider": ["a", "b", "a"]}), None, 3, alone=False)


@pytest.mark.parametrize("valued", [torch.tensor([2, 0]), [torch.tensor(2), torch.tensor(0)], np.array([2, 0]), [2.0, 0.0], pd.Series([2, 0], index=[7, 8])])  # fmt: skip
def test_valued_groups_may_be_any_kind_of_number(valued):
    players, numbers = players_of([0, 1, 2, 0], valued, 4, alone=False)
    assert players == [2, 0]
    assert numbers.tolist() == [1, -1, 0, 1]


def test_groups_may_be_a_list_of_tensors():
    assert players_of([torch.tensor(1), torch.tensor(0), torch.tensor(1)], None, 3, alone=False)[0] == [0, 1]
