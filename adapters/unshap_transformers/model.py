"""Language models as modules that answer with what utilities are made of, and copies that share what is frozen."""

from __future__ import annotations

import copy
from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.numerics.filling import FULL
from unshap_transformers.adapters import trained_parameters
from unshap_transformers.tokens import IGNORED

__all__ = ["CausalLM", "SharingModule", "TokenLoss"]


class SharingModule(nn.Module):
    """A model as a module whose copies share the parameters that are frozen.

    Parameters
    ----------
    model
        The model. It is left alone: this is a copy of what is trained in it (see ``trained_parameters``).
    length
        Tokens of a row.
    """

    def __init__(self, model: nn.Module, length: int) -> None:
        super().__init__()
        trained = trained_parameters(model)
        self.model = copy.deepcopy(model, _frozen(model, {id(p) for p in trained.values()}))
        for name, p in self.model.named_parameters():
            p.requires_grad_(name in trained)
        #: Products are taken over all tokens of all rows: these, and not the rows, are to be a multiple of ``FULL``.
        self.rows_multiple = FULL // gcd(FULL, length)
        for layer in self.modules():
            if hasattr(layer, "gradient_checkpointing"):
                # It would run layers again when the copies of their parameters are no longer in place.
                layer.gradient_checkpointing = False  # type: ignore[assignment]
        self.eval()

    def __deepcopy__(self, memo: dict[int, Any]) -> SharingModule:
        memo.update(_frozen(self, {id(p) for p in self.parameters() if p.requires_grad}))
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return other


class CausalLM(SharingModule):
    """A causal language model whose outputs are, for each row, what it makes of the tokens that are to be learned.

    That is ``[rows, 3]``: the log-likelihood of these tokens (a sum, in nats), how many there are, and of how many no
    other token was more likely (zero where gradients are computed). The scores of all words of the vocabulary, which
    are thousands of times more, do not leave the module.
    """

    def forward(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs ``[rows, 3]``.

        Parameters
        ----------
        input_ids
            Tokens, long ``[rows, length]``, filled up on the right.
        labels
            The same, with -100 for tokens that are not to be learned.
        """
        logits = self.model(input_ids=input_ids, use_cache=False).logits[:, :-1]
        wanted = labels[:, 1:]
        learned = wanted != IGNORED
        losses = F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), ignore_index=IGNORED, reduction="none")
        likelihood = -losses.view(wanted.shape).sum(dim=1)
        hits = torch.zeros_like(likelihood)
        if not torch.is_grad_enabled():
            hits = ((logits.argmax(dim=-1) == wanted) & learned).sum(dim=1).to(likelihood)
        return torch.stack([likelihood, learned.sum(dim=1).to(likelihood), hits], dim=1)


class TokenLoss:
    """The loss of a row of a ``CausalLM``: minus the log-likelihood of its tokens, over the mean number of tokens.

    So every token counts alike, in which row it may be, and the mean over rows is about that over tokens.

    Parameters
    ----------
    tokens
        Learned tokens of a training row, on average.
    """

    def __init__(self, tokens: float) -> None:
        self.tokens = tokens

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the outputs are all there is)
        """Return the losses ``[rows]`` of outputs ``[rows, 3]``."""
        return -outputs[..., 0] / self.tokens


def _frozen(module: nn.Module, trained: set[int]) -> dict[int, Any]:
    """Return what stands for all other parameters and the buffers in a copy: tensors of the same memory."""
    frozen = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in module.parameters() if id(p) not in trained}
    return {**frozen, **{id(b): b.detach() for b in module.buffers()}}
