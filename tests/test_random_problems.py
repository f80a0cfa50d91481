"""Random tables, models and groupings: the values are those of refitting, or the package says what it refuses."""

from __future__ import annotations

import pytest
from random_problems import check

BLOCK = 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of scikit-learn, about fits of few rows: values are what is tested here
@pytest.mark.parametrize("block", range(8))
def test_values_are_those_of_refitting(block):
    valued = [check(seed) for seed in range(BLOCK * block, BLOCK * (block + 1))]
    assert sum(one is not None for one in valued) >= BLOCK / 2, "most draws are what people may well bring"
