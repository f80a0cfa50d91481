"""The arguments of a Trainer as a recipe, by which coalitions are retrained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from unshap_plugin import Recipe
from unshap_plugin.errors import InvalidValueError

__all__ = ["computing_of", "recipe_of"]

_OPTIMIZERS = {"adamw_torch": "adamw", "adamw_torch_fused": "adamw", "sgd": "sgd"}
_SCHEDULES = {"constant": "constant", "constant_with_warmup": "constant", "linear": "linear", "cosine": "cosine"}


def computing_of(args: Any) -> dict[str, bool]:
    """Return how a ``CausalLM`` computes, ``checkpointing`` and ``bf16``, for the arguments of a Trainer or a recipe.

    Raises
    ------
    InvalidValueError
        If they ask for float16, whose gradients have to be scaled.

    Examples
    --------
    >>> computing_of(None)
    {'checkpointing': False, 'bf16': False}
    """
    if getattr(args, "fp16", False):
        raise InvalidValueError(
            "args.fp16 is True, but gradients in float16 have to be scaled, which is not done here: use bf16=True, or "
            "neither."
        )
    return {
        # Under its newer name and the older one.
        "checkpointing": any(getattr(args, f"{what}_checkpointing", None) for what in ("activation", "gradient")),
        "bf16": bool(getattr(args, "bf16", False)),
    }


def recipe_of(args: Any, init: Mapping[str, Tensor] | nn.Module | None) -> Recipe:
    """Return how a model was trained, for ``transformers.TrainingArguments`` or another recipe.

    Steps per epoch are those of the rows that a coalition keeps. As the Trainer does, a step averages over its tokens;
    but every token has the same weight in all steps here, where the Trainer gives more to those of short batches.

    Parameters
    ----------
    args
        The arguments, or a recipe, whose ``init`` is not looked at.
    init
        What training started from.

    Raises
    ------
    InvalidValueError
        If they say something that retraining cannot follow.
    """
    if isinstance(args, Recipe):
        return replace(args, init=init)
    optimizer = str(getattr(args.optim, "value", args.optim))
    schedule = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    for what, given, known in (("optim", optimizer, _OPTIMIZERS), ("lr_scheduler_type", schedule, _SCHEDULES)):
        if given not in known:
            raise InvalidValueError(
                f"args.{what} is {given!r}, but retraining follows {', '.join(known)}: leave args out, and unlearners "
                f"that need no recipe remain."
            )
    if args.max_steps > 0 or args.num_train_epochs != int(args.num_train_epochs):
        name = "max_steps" if args.max_steps > 0 else "num_train_epochs"
        raise InvalidValueError(
            f"args.{name} is {getattr(args, name)}, but a coalition with fewer rows takes fewer steps: give a "
            f"whole number of epochs as num_train_epochs, and max_steps=-1."
        )
    options: dict[str, Any] = {"weight_decay": args.weight_decay}
    if optimizer != "sgd":
        options |= {"betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}
    warmup = args.warmup_steps or getattr(args, "warmup_ratio", None) or 0
    return Recipe(
        _OPTIMIZERS[optimizer],
        lr=args.learning_rate,
        epochs=int(args.num_train_epochs),
        batch_size=args.per_device_train_batch_size * args.gradient_accumulation_steps * max(1, args.world_size),
        options=options,
        init=init,
        schedule=_SCHEDULES[schedule],
        warmup=warmup if warmup < 1 else int(warmup),
        clip=args.max_grad_norm or None,
    )
