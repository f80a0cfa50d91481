"""What the outputs of a module are: what the user says, the loss takes them for, or the module itself shows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.losses import LOSSES, Loss
from unshap_plugin.model.given import copied, logits_of
from unshap_plugin.model.rows import Rows, arguments, leaves, n_rows, take
from unshap_plugin.scoring.outputs import OUTPUTS, Outputs, taken_by

__all__ = ["kind_of_outputs", "last_link"]

#: By how much sums of probabilities may be off.
_ROUND_OFF, _TINY = 1e-3, 1e-6
_FEW = 4

#: What autograd calls the operations that end in probabilities, and those that only pass them on.
_LINKS: dict[str, Outputs] = {
    "SigmoidBackward": "probabilities",
    "SoftmaxBackward": "probabilities",
    "LogSoftmaxBackward": "log_probabilities",
    "LogSigmoidBackward": "log_probabilities",
}
_PASSING = {
    *("View", "UnsafeView", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "T", "Permute", "Expand"),
    *("Select", "Slice", "Index", "Alias", "Clone", "ToCopy", "Clamp"),
}


def kind_of_outputs(
    said: str | None, module: nn.Module, loss: Loss, x: Rows, outputs: Tensor
) -> tuple[Outputs | None, str | None]:
    """Return what the outputs of a module are, and a sentence on that where it is a guess.

    ``None`` where nothing tells logits from probabilities.

    Parameters
    ----------
    said
        What the user says, if anything.
    module, loss
        The module, in evaluation mode, and its training loss.
    x, outputs
        The training rows, and what the module returns for them.

    Raises
    ------
    UnknownNameError
        If the user says something else than one of ``OUTPUTS``.
    InvalidValueError
        If what is said, what the loss takes them for, what the module ends in and what they are contradict each other.

    Examples
    --------
    >>> from unshap_plugin.losses import cross_entropy
    >>> module, x = nn.Linear(3, 2), torch.eye(3)
    >>> kind_of_outputs(None, module, cross_entropy, x, module(x).detach())
    ('logits', None)
    """
    if said is not None and said not in OUTPUTS:
        raise UnknownNameError("kind of outputs", said, OUTPUTS)
    ends, takes = last_link(module, x), taken_by(loss)
    single = outputs.ndim == 1 or outputs.shape[-1] == 1
    low, high = float(outputs.min()), float(outputs.max())
    unit = low >= -_TINY and high <= 1 + _TINY
    shares = not single and unit and bool(((outputs.sum(dim=-1) - 1).abs() < _ROUND_OFF).all())
    name, span = type(module).__name__, f"go from {low:g} to {high:g}"
    if said is not None:
        kind: Outputs = said  # type: ignore[assignment]
        if kind == "probabilities" and not unit:
            raise InvalidValueError(
                f"outputs is 'probabilities', but those of {name} {span}: say outputs='logits' where a softmax or a "
                f"sigmoid is still to be taken."
            )
        sums = outputs.exp().sum(dim=-1)
        summing = single or ends == kind or bool(((sums - 1).abs() < _ROUND_OFF).all())
        if kind == "log_probabilities" and not (high < _ROUND_OFF and summing):
            raise InvalidValueError(
                f"outputs is 'log_probabilities', but those of {name} {span} and are no logarithms of shares of one: "
                f"say outputs='logits' where a softmax or a sigmoid is still to be taken."
            )
        if kind == "logits" and (ends == "probabilities" or (ends == "log_probabilities" and single)):
            raise InvalidValueError(
                f"outputs is 'logits', but {name} ends in a softmax or a sigmoid: say outputs={ends!r}."
            )
        return kind, None
    if takes == "logits" and (ends == "probabilities" or shares or (ends == "log_probabilities" and single)):
        found = f"ends in a softmax or a sigmoid ({ends})" if ends else "has outputs that are shares of one"
        other = "loss='binary_cross_entropy'" if single else "a callable that takes 'nll_loss' of their logarithms"
        if ends == "log_probabilities":
            other = "a callable that takes 'binary_cross_entropy' of their exponentials"
        raise InvalidValueError(
            f"the loss takes the outputs for logits, but {name} {found}: give the loss that it was trained with, such "
            f"as {other}; or, if it was trained with this one, say outputs={ends or 'probabilities'!r}."
        )
    if takes in ("probabilities", "log_probabilities"):
        if ends not in (None, takes):
            # The losses of this package refuse them whatever is said.
            other = "" if loss in LOSSES.values() else f"; or, if it was trained with this one, say outputs={ends!r}"
            raise InvalidValueError(
                f"the loss takes the outputs for {takes}, but {name} ends in {ends}: give the loss that it was trained "
                f"with{other}."
            )
        return takes, None
    if ends is not None or takes is not None:
        return ends or takes, None
    if shares:
        note = "the outputs of the model, shares of one on all training rows, were taken for probabilities"
        return "probabilities", f"{note}: say outputs='logits' if a softmax is still to be taken."
    return None if unit else "logits", None


def last_link(module: nn.Module, x: Rows) -> Outputs | None:
    """Return what the last operation of a module makes of its outputs, where that is a softmax or a sigmoid.

    Autograd knows it, whether it is a layer or a function. Of a module that only runs without gradients
    nothing is known.

    Examples
    --------
    >>> last_link(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0)), torch.zeros(3, 2))
    'probabilities'
    """
    probe = copied(module)
    for p in probe.parameters():
        p.requires_grad_(p.is_floating_point())
    few = torch.arange(min(_FEW, n_rows(x)), device=leaves(x)[0].device)
    positional, named = arguments(take(x, few))
    try:
        with torch.enable_grad():
            node: Any = logits_of(probe(*positional, **named)).grad_fn
    except Exception:  # without gradients it ran, on all rows
        return None
    while node is not None:
        name = type(node).__name__.rstrip("0123456789").removeprefix("Safe")
        if name in _LINKS:
            return _LINKS[name]
        if name.removesuffix("Backward") not in _PASSING:
            return None
        node = node.next_functions[0][0]
    return None
