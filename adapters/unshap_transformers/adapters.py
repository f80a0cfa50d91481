"""What was trained in a model, which for one of PEFT is its adapter, and what training started from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

__all__ = ["base_of", "initial_state", "trained_parameters"]

#: The file of an adapter, as PEFT saves it.
_FILE = "adapter_model.safetensors"
_NOT_THE_START = "give the adapter that training started from as initial_adapter"


def base_of(model: nn.Module) -> Any:
    """Return the model of transformers itself, where it is one of PEFT around it.

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> base_of(model) is model
    True
    """
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that were trained, ``[*shape]`` each, by their names.

    Those that need gradients; of an adapter of PEFT that was loaded for inference, in which none do, all that it has.

    Parameters
    ----------
    model
        A model of transformers, or of PEFT around one.

    Raises
    ------
    InvalidValueError
        If nothing was trained, it is quantised, or it has several adapters at once, or one that is not LoRA.
    """
    how = getattr(getattr(model, "config", None), "quantization_config", None)
    if how is not None:
        method = how.get("quant_method") if isinstance(how, Mapping) else getattr(how, "quant_method", None)
        raise InvalidValueError(
            f"the base model is quantised ({getattr(method, 'value', method)}), so that its layers cannot be run for "
            f"many adapters at once: load it without quantization_config, in bfloat16 where memory is short, and put "
            f"the adapter on that."
        )
    adapter, everything = _adapter(model), dict(model.named_parameters())
    wanted: dict[str, Tensor] = {name: p for name, p in everything.items() if p.requires_grad}
    if adapter is not None:
        return wanted or {name: p for name, p in everything.items() if _of_adapter(name, adapter)}
    if not wanted:
        raise InvalidValueError(
            f"no parameter of {type(model).__name__} needs gradients: give the PeftModel with the adapter that "
            f"was trained, or set requires_grad of what was."
        )
    return wanted


def initial_state(model: nn.Module, given: Any, name: str = "initial_adapter") -> dict[str, Tensor] | None:
    """Return what the trained parameters were before training, ``[*shape]`` each, by their names.

    Parameters
    ----------
    model
        The trained model.
    given
        A model, its state dict, or the folder that an adapter was saved to. ``None``: the base model, which is the
        given adapter with its second matrices at zero, as LoRA starts; not known where the model is no ``PeftModel``.
    name
        What messages call it.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is something else, or that of another base.
    """
    trained = trained_parameters(model)
    adapter = _adapter(model)
    if given is None:
        return None if adapter is None else _base(model, trained, adapter)
    known = _known(given, name)
    found = {}
    for key, p in trained.items():
        value = known.get(_plain(key, adapter))
        if value is None or value.shape != p.shape:
            raise InvalidValueError(
                f"{name} lacks {key!r}, or has it in another shape than the model's {list(p.shape)}: it is of another "
                f"base or has other settings, so {_NOT_THE_START}."
            )
        found[key] = value.detach().to(p)
    if all(torch.equal(value, trained[key]) for key, value in found.items()):
        raise InvalidValueError(
            f"{name} is the trained adapter itself: {_NOT_THE_START}, or leave it out for the base model."
        )
    return found


def _adapter(model: nn.Module) -> str | None:
    """Return the name of the adapter of a model of PEFT."""
    if not hasattr(model, "get_base_model"):
        return None
    configs: Any = model.peft_config
    names = list(model.active_adapters)  # type: ignore[arg-type]
    if len(names) != 1:
        raise InvalidValueError(
            f"the model has {len(names)} active adapters, but one was trained: choose it with model.set_adapter."
        )
    kind = str(getattr(configs[names[0]].peft_type, "value", configs[names[0]].peft_type))
    if kind != "LORA":
        raise InvalidValueError(
            f"the adapter is of the type {kind}, of which it is not known where training starts: give one of LoRA."
        )
    return str(names[0])


def _of_adapter(name: str, adapter: str) -> bool:
    return adapter in name.split(".") and _learns(name.split("."))


def _learns(parts: list[str]) -> bool:
    """Tell by the parts of its name whether a parameter is of LoRA, or one of a layer that is trained beside it."""
    return any(one.startswith("lora_") or one == "modules_to_save" for one in parts)


def _base(model: nn.Module, trained: Mapping[str, Tensor], adapter: str) -> dict[str, Tensor]:
    """Return the given adapter with ``B = 0``, and copies of layers as they were."""
    everything, found = dict(model.named_parameters()), {}
    for name, p in trained.items():
        if ".lora_B." in name or ".lora_embedding_B." in name:
            found[name] = torch.zeros_like(p)
        elif ".lora_A." in name or ".lora_embedding_A." in name:
            found[name] = p.detach()
        else:
            before = everything.get(name.replace(f".modules_to_save.{adapter}.", ".original_module."))
            if before is None or before is p:
                raise InvalidValueError(
                    f"{name!r} was trained beside the two matrices of LoRA, and nothing says what it was before: "
                    f"{_NOT_THE_START}."
                )
            found[name] = before.detach().to(p)
    if all(torch.equal(value, trained[name]) for name, value in found.items()):
        raise InvalidValueError(
            "the adapter is at its start, so that nothing was learned: train it (with gradient checkpointing, PEFT "
            "trains nothing without model.enable_input_require_grads())."
        )
    return found


def _known(given: Any, name: str) -> dict[str, Tensor]:
    """Return parameters by the names that they have whatever the adapter is called."""
    if isinstance(given, nn.Module):
        return {_plain(key, _adapter(given)): p for key, p in given.named_parameters()}
    if isinstance(given, str | os.PathLike):
        file = Path(given) / _FILE
        if not file.is_file():
            raise InvalidValueError(
                f"{name} is {str(given)!r}, where there is no {_FILE}: give the folder that the adapter was saved to."
            )
        return dict(load_file(file))
    if isinstance(given, Mapping) and all(isinstance(value, Tensor) for value in given.values()):
        return {_plain(str(key), "default"): value for key, value in given.items()}
    raise InvalidTypeError(
        f"{name} is a {type(given).__name__}, but a model, its state dict, or the folder that an adapter was saved to "
        f"is needed."
    )


def _plain(name: str, adapter: str | None) -> str:
    parts = name.split(".")
    if adapter is None or not _learns(parts):
        return name
    saved = [one for one in parts if one not in (adapter, "modules_to_save")]
    return ".".join(saved)
