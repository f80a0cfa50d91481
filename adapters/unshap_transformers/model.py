"""Language models as modules that answer with what utilities are made of, and copies that share what is frozen."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.numerics.filling import FULL
from unshap_transformers.adapters import base_of, trained_parameters
from unshap_transformers.token_losses import token_losses
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
    checkpointing
        Whether layers run again when gradients are taken, in place of keeping what they computed.
    bf16
        Whether products are computed in bfloat16, whatever the parameters are in.
    """

    def __init__(self, model: nn.Module, length: int, *, checkpointing: bool = False, bf16: bool = False) -> None:
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
        _with_fused_gelu(self.model)
        #: Names of the layers that run again when gradients are taken, in place of keeping what they computed.
        self.runs_again = tuple(_blocks_of(self)) if checkpointing else ()
        #: In which dtype products are computed, if in another one.
        self.autocast = torch.bfloat16 if bf16 else None
        self.eval()

    def precision(self, tokens: Tensor) -> torch.autocast:
        """Return the context in which ``tokens``, ``[rows, length]``, are computed with."""
        return torch.autocast(tokens.device.type, self.autocast, enabled=self.autocast is not None)

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

    Parameters
    ----------
    model, length, checkpointing, bf16
        See ``SharingModule``.
    """

    def __init__(self, model: nn.Module, length: int, *, checkpointing: bool = False, bf16: bool = False) -> None:
        super().__init__(model, length, checkpointing=checkpointing, bf16=bf16)
        self._ends_in_head = self._does_end_in_head(min(length, 8))

    def forward(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs ``[rows, 3]``.

        Parameters
        ----------
        input_ids
            Tokens, long ``[rows, length]``, filled up on the right.
        labels
            The same, with -100 for tokens that are not to be learned.
        """
        with self.precision(input_ids):
            return self._answers(input_ids, labels)

    def _answers(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        wanted = F.pad(labels[:, 1:], (0, 1), value=IGNORED)  # of each token the next one
        if self._ends_in_head:
            hidden, head = self._hidden(input_ids), self._head()
            losses, hits = token_losses(hidden.flatten(0, 1), head.weight, head.bias, wanted.flatten())
        else:
            logits = self.model(input_ids=input_ids, use_cache=False).logits.flatten(0, 1)
            losses = F.cross_entropy(logits.float(), wanted.flatten(), ignore_index=IGNORED, reduction="none")
            best = torch.full_like(wanted, IGNORED).flatten() if torch.is_grad_enabled() else logits.argmax(dim=-1)
            hits = (best == wanted.flatten()) & (best != IGNORED)
        each = torch.stack([-losses, (wanted != IGNORED).flatten().to(losses), hits.to(losses)], dim=1)
        return each.unflatten(0, wanted.shape).sum(dim=1)

    def _head(self) -> Any:
        return self.model.get_output_embeddings()  # type: ignore[operator]

    def _hidden(self, input_ids: Tensor) -> Tensor:
        """Return what the head is given, ``[rows, length, d]``."""
        hidden: Tensor = base_of(self.model).base_model(input_ids=input_ids, use_cache=False)[0]
        return hidden

    def _does_end_in_head(self, length: int) -> bool:
        """Tell whether the scores are the product of a frozen head with hidden states, and nothing else."""
        head = self._head() if hasattr(self.model, "get_output_embeddings") else None
        if type(head) is not nn.Linear or any(p.requires_grad for p in head.parameters()):
            return False
        ids = torch.arange(2 * length, device=head.weight.device).view(2, length) % head.out_features
        with torch.no_grad():
            found, expected = head(self._hidden(ids)), self.model(input_ids=ids, use_cache=False).logits
        return found.shape == expected.shape and torch.allclose(found, expected)


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


def _blocks_of(module: nn.Module) -> Iterator[str]:
    """Yield the names of the layers that transformers itself would run again."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return (name for name, layer in module.named_modules() if isinstance(layer, GradientCheckpointingLayer))


def _with_fused_gelu(module: nn.Module) -> None:
    """Put torch's own GELU in the place of one in eight operations, which keeps eight times as much for gradients."""
    from transformers.activations import NewGELUActivation

    for layer in [*module.modules()]:
        for name, child in layer.named_children():
            if type(child) is NewGELUActivation:
                setattr(layer, name, nn.GELU(approximate="tanh"))
