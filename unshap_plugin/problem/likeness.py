"""Whether a reference set looks to the given model as the rows at hand do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from torch import Tensor

from unshap_plugin.losses import Loss
from unshap_plugin.scoring.predictive import expected_losses

__all__ = ["unlike"]

#: So rarely is something said of sets that are alike.
_LEVEL = 1e-3


def unlike(loss: Loss, mine: Tensor, tested: Tensor, reference: Callable[[], Tensor]) -> str | None:
    """Say how the given model differs on a reference set from what it is on the rows at hand, where it clearly does.

    Compared are the losses that the model expects by its own predictions, which needs no labels (by the test of
    Kolmogorov and Smirnov). Of rows that it was trained on a model is surer than of others, so that the reference set
    has to differ from the test set too, and not to lie between the two.

    Parameters
    ----------
    loss
        The training loss.
    mine, tested
        Outputs for the rows at hand and for the test set, ``[rows, ...]``.
    reference
        Returns those for the reference set, which are not computed where the loss tells nothing.

    Examples
    --------
    >>> import torch
    >>> from unshap_plugin.losses import cross_entropy
    >>> sure, unsure = torch.tensor([[9.0, 0.0]]).repeat(20, 1), torch.zeros(20, 2)
    >>> unlike(cross_entropy, sure, sure, lambda: sure) is None
    True
    >>> print(unlike(cross_entropy, sure, sure, lambda: unsure))
    the given model is less sure of the reference set than of the rows at hand (it expects a loss of 0.693 and of \
0.00123): unlearners that take it for a sample of what the model was trained on may be far off; give reference rows \
from where the training rows came from.
    """
    first = expected_losses(loss, mine)
    if first is None:
        return None
    own, test, others = _numbers(first), *(_expected(loss, outputs) for outputs in (tested, reference()))
    if max(ks_2samp(others, one, method="asymp").pvalue for one in (own, test)) >= _LEVEL:
        return None
    word = "less" if others.mean() > own.mean() else "more"
    return (
        f"the given model is {word} sure of the reference set than of the rows at hand (it expects a loss of "
        f"{float(others.mean()):.3g} and of {float(own.mean()):.3g}): unlearners that take it for a sample of what the "
        f"model was trained on may be far off; give reference rows from where the training rows came from."
    )


def _expected(loss: Loss, outputs: Tensor) -> NDArray[np.float64]:
    found = expected_losses(loss, outputs)
    assert found is not None
    return _numbers(found)


def _numbers(losses: Tensor) -> NDArray[np.float64]:
    return losses.double().cpu().numpy()
