"""Bits that do not depend on a batch, where the products of this machine's library do not."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["ALIKE", "assert_same_bits"]


def _alike() -> bool:
    """Tell whether the product of two matrices is the same wherever in a batch, and so in memory, they stand.

    Of MKL's products it is on processors by Intel; on others, such as AMD's EPYC, the last bits go by the place.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(23, 37, 5, generator=generator), torch.randn(23, 5, 5, generator=generator)
    whole = a @ b.mT
    return all(torch.equal(a[few].clone() @ b[few].clone().mT, whole[few]) for few in (slice(3, 5), slice(11, 22)))


ALIKE = _alike()


def assert_same_bits(found, expected, *, off=1e-5):
    """Compare arrays or tensors: bit by bit, or to round-off in single precision where products differ by place.

    A training by Adam makes more of that, since it divides gradients by their size: ``off`` says how much.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if ALIKE:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=10 * off, atol=off)
