"""Performance of language models on one or several evaluation sets, higher is better.

Outputs are those of ``CausalLM``, ``[m, rows, 3]``. Targets are numbers, long ``[rows, 3]``: the evaluation set that a
row is of, the question that it answers, and whether it is the right answer; the last two are of use to questions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unshap_plugin.errors import UnknownNameError
from unshap_plugin.metrics import Metric

__all__ = ["METRICS", "token_metric"]


def log_likelihood(outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001 (all take both)
    """Return the mean log-likelihood of a token in nats, ``[m]``: each token counts alike, in which row it may be."""
    return outputs[..., 0].double().sum(dim=1) / outputs[..., 1].double().sum(dim=1)


def neg_perplexity(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return minus the perplexity, ``[m]``."""
    return -(-log_likelihood(outputs, targets)).exp()


def token_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001
    """Return the share of tokens that no other token was more likely than, ``[m]``."""
    return outputs[..., 2].double().sum(dim=1) / outputs[..., 1].double().sum(dim=1)


def choice_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of questions whose right answer is the most likely one (by its log-likelihood), ``[m]``."""
    questions, place = targets[:, 1].unique(return_inverse=True)
    best = outputs.new_full((len(outputs), len(questions)), -torch.inf)
    likely = outputs[..., 0]
    best.scatter_reduce_(1, place.expand_as(likely), likely, "amax")
    right = targets[:, 2] == 1
    return (likely[:, right] >= best[:, place[right]]).double().mean(dim=1)


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    one.__name__: one for one in (log_likelihood, neg_perplexity, token_accuracy, choice_accuracy)
}


@dataclass(frozen=True)
class _OfEach:
    """A measure of each of several evaluation sets, a column each."""

    measure: Callable[[Tensor, Tensor], Tensor]
    sets: int

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        own = [targets[:, 0] == number for number in range(self.sets)]
        return torch.stack([self.measure(outputs[:, rows], targets[rows]) for rows in own], dim=1)


def token_metric(name: str, sets: Sequence[str] | None) -> Metric:
    """Return a metric of language models.

    Parameters
    ----------
    name
        ``log_likelihood``, ``neg_perplexity``, ``token_accuracy`` or ``choice_accuracy``.
    sets
        The names of several evaluation sets; ``None`` for a single one.

    Raises
    ------
    UnknownNameError
        If there is no such metric.

    Examples
    --------
    >>> metric = token_metric("log_likelihood", ["buyer a", "buyer b"])
    >>> outputs = torch.tensor([[[-6.0, 2.0, 0.0], [-1.0, 2.0, 2.0]]])
    >>> metric.parts, metric.score(outputs, torch.tensor([[0, 0, 0], [1, 0, 0]]))
    (('buyer a', 'buyer b'), tensor([[-3.0000, -0.5000]], dtype=torch.float64))
    """
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    return Metric(name, METRICS[name]) if sets is None else Metric(name, _OfEach(METRICS[name], len(sets)), tuple(sets))
