"""The losses of tokens by the head of a language model, without the scores of all words of all tokens at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.numerics.filling import FULL
from unshap_transformers.tokens import IGNORED

__all__ = ["token_losses"]

#: Scores in float32 that there are at a time.
_BYTES = 32 * 2**20


def token_losses(hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses of tokens in nats, ``[tokens]``, and which no other token was more likely than, bool.

    A block of tokens at a time goes through the head. As it is frozen, the gradient of a loss in the hidden state of
    its token is known as soon as the loss is, and is all that is kept: as many numbers as the hidden states have.
    Where gradients are taken, no token is said to be the most likely one.

    Parameters
    ----------
    hidden
        What the head is given, ``[tokens, d]``.
    weight, bias
        Those of the head, ``[words, d]`` and ``[words]``, which no gradients are taken of.
    wanted
        The right words, long ``[tokens]``; -100 for tokens that are not to be learned, whose losses are zero.

    Examples
    --------
    >>> losses, hits = token_losses(torch.eye(2), torch.zeros(4, 2), None, torch.tensor([3, -100]))
    >>> losses, hits
    (tensor([1.3863, 0.0000]), tensor([False, False]))
    """
    if torch._C._are_functorch_transforms_active():  # which need formulas, and get all scores
        return _losses(hidden, weight, bias, wanted), torch.zeros_like(wanted, dtype=torch.bool)
    if torch.is_grad_enabled() and hidden.requires_grad:
        losses: Tensor = _TokenLosses.apply(hidden, weight, bias, wanted)  # type: ignore[no-untyped-call]
        return losses, torch.zeros_like(wanted, dtype=torch.bool)
    parts, hits = [], []
    for rows in _blocks(len(hidden), len(weight)):
        scores = F.linear(hidden[rows], weight, bias).float()
        parts.append(_of_scores(scores, wanted[rows]))
        hits.append(scores.argmax(dim=1) == wanted[rows])
    return torch.cat(parts), torch.cat(hits)


class _TokenLosses(torch.autograd.Function):
    """The losses; their gradients in the hidden states are computed beside them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Tensor) -> Tensor:
        losses = hidden.new_empty(len(hidden), dtype=torch.float32)
        slopes = torch.empty_like(hidden)
        for rows in _blocks(len(hidden), len(weight)):
            scores = F.linear(hidden[rows], weight, bias).float()
            losses[rows] = _of_scores(scores, wanted[rows])
            slope, learned = scores.softmax(dim=1), wanted[rows] != IGNORED
            slope.scatter_add_(1, wanted[rows].clamp(min=0)[:, None], -learned[:, None].to(slope))
            slopes[rows] = (slope * learned[:, None]).to(weight.dtype) @ weight
        ctx.save_for_backward(hidden, weight, bias, wanted, slopes)
        return losses

    @staticmethod
    def backward(ctx: Any, by: Tensor) -> tuple[Tensor, None, None, None]:
        hidden, weight, bias, wanted, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # of the gradients more are to be taken
            [found] = torch.autograd.grad(_losses(hidden, weight, bias, wanted), hidden, by, create_graph=True)
            return found, None, None, None
        return by[:, None].to(slopes.dtype) * slopes, None, None, None


def _blocks(tokens: int, words: int) -> Iterator[slice]:
    """Yield the tokens of each block: their number follows from that of words alone, so that no bit depends on more."""
    size = max(_BYTES // (4 * words) // FULL, 1) * FULL
    return (slice(begin, begin + size) for begin in range(0, tokens, size))


def _losses(hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Tensor) -> Tensor:
    return _of_scores(F.linear(hidden, weight, bias).float(), wanted)


def _of_scores(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(scores, wanted, ignore_index=IGNORED, reduction="none")
