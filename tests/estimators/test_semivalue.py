"""Weights of semivalues at the ends of their parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unshap_plugin.estimators.semivalue import semivalue_of


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (16, 1), (1, 4), (0.5, 3), (4, 4)])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_weights_of_beta_are_those_of_a_beta_binomial_number(alpha, beta, n):
    expected = stats.betabinom.pmf(np.arange(n), n - 1, beta, alpha) if n > 1 else [1.0]
    np.testing.assert_allclose(semivalue_of(("beta", alpha, beta), n).weights, expected, rtol=1e-9)


@pytest.mark.parametrize("size", [1e8, 1e15, 1e308])
def test_large_parameters_that_are_equal_tend_to_banzhaf(size):
    np.testing.assert_allclose(
        semivalue_of(("beta", size, size), 5).weights, semivalue_of("banzhaf", 5).weights, atol=1e-7
    )


def test_a_tiny_parameter_leaves_one_size():
    np.testing.assert_allclose(semivalue_of(("beta", 1, 1e-320), 4).weights, [1, 0, 0, 0], atol=1e-12)


def test_weights_of_ones_own_are_in_the_name():
    assert semivalue_of([0.5, 0.25, 0.25], 3).name == "semivalue of weights 0.5, 0.25, 0.25"
    many, others = (semivalue_of(np.roll([0.0] * 9 + [1.0], k), 10).name for k in (0, 1))
    assert many.startswith("semivalue of 10 weights with checksum ")
    assert many != others
