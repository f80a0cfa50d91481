"""The softmax across rows, against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.numerics.softmax import log_sigmoid, log_softmax, softmax

SHAPES = st.tuples(st.integers(0, 3), st.integers(0, 130), st.integers(1, 12))


@settings(deadline=None, max_examples=60)
@given(SHAPES, st.booleans(), st.integers(0, 99))
def test_it_is_the_softmax(shape, single, seed):
    x = 30 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x.float() if single else x
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if single else {"atol": 1e-12, "rtol": 1e-12}
    torch.testing.assert_close(softmax(x), x.softmax(dim=-1), **tolerance)
    torch.testing.assert_close(log_softmax(x), x.log_softmax(dim=-1), **tolerance)
    torch.testing.assert_close(log_sigmoid(x), torch.nn.functional.logsigmoid(x), **tolerance)


@pytest.mark.parametrize("function", [softmax, log_softmax, log_sigmoid])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_no_bit_depends_on_the_other_rows(function, classes):
    x = torch.randn(333, classes)
    whole = function(x)
    for rows in (1, 7, 64, 100, 257):
        assert torch.equal(function(x[:rows]), whole[:rows])


def test_its_gradient_is_torchs():
    x = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(9, 4, dtype=torch.float64)
    (found,) = torch.autograd.grad((log_softmax(x) * weights).sum(), x)
    (expected,) = torch.autograd.grad((x.log_softmax(dim=-1) * weights).sum(), x)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
