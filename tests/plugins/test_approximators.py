"""Approximators of a package that stands in for shapiq, which need not be installed."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in import installed

from unshap_plugin import shapley_values
from unshap_plugin.errors import DivergenceError, InvalidValueError, UnknownNameError
from unshap_plugin.plugins.registry import find_estimator


class Additive:
    n_players = 3

    def __call__(self, coalitions):
        return coalitions @ np.array([1.0, -2.0, 4.0])


def test_an_approximator_asks_once_and_is_replayed_for_every_metric():
    with installed():
        method = find_estimator("shapiq:Alone").offer(3, None, 0)
        assert method.total == 4
        method.block = 2
        result = method.run(lambda rows: np.stack([Additive()(rows), Additive()(rows) ** 2], axis=1))
    assert result.values.tolist() == [[1, 1], [-2, 4], [4, 16]]
    assert np.isnan(result.std_errors).all()
    assert np.isnan(result.degrees_of_freedom).all()


def test_only_those_of_shapley_values_are_offered():
    with (
        installed(),
        pytest.raises(UnknownNameError, match=r"expected one of: shapiq:Adaptive, shapiq:Alone, shapiq:N"),
    ):
        find_estimator("shapiq:Interactions")


def test_a_result_without_standard_errors_says_so_in_every_form():
    with installed():
        result = shapley_values(Additive(), "shapiq:Alone")
    assert result.values.tolist() == [1, -2, 4]
    assert "has no standard errors" in result.notes[0]
    assert not result.biased
    low, high = result.interval()
    assert np.isnan([low, high]).all()
    again = type(result).from_json(result.to_json())
    assert np.isnan(again.std_errors).all()
    assert result.to_frame()["std_error"].isna().all()


def test_an_excluded_coalition_is_an_error():
    def game(rows):
        return np.where(rows.sum(axis=1) == 1, np.nan, 1.0)

    with installed(), pytest.raises(DivergenceError, match=r"keeps 1 of 3 players was excluded, but the approx"):
        find_estimator("shapiq:Alone").offer(3, None, 0).run(game)


def test_without_shapiq_the_extra_is_named():
    with installed(None), pytest.raises(InvalidValueError, match=r"run pip install 'unshap-plugin\[shapiq\]'"):
        find_estimator("shapiq:KernelSHAP")
