"""Correlations, against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from unshap_plugin.numerics.correlation import spearman


def test_rank_correlation_is_scipys_and_not_a_number_where_it_is_not_defined():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 30)).astype(float)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b)[0], abs=1e-12)
    assert math.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert math.isnan(spearman(np.ones(1), np.ones(1)))
