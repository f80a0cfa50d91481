"""Results as text."""

from __future__ import annotations

import numpy as np
import pytest

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.support.serialization import numbers


def test_numbers_are_read_and_nothing_else_is():
    np.testing.assert_array_equal(numbers("values", [1, None, "inf", "-inf"]), [1, np.nan, np.inf, -np.inf])
    for wrong in (["x", 1], [[1], [2, 3]], {"a": 1}):
        with pytest.raises(InvalidValueError, match=r"the field 'values' of the result holds something else"):
            numbers("values", wrong)
