"""A model with its adapter and its tokenizer, from the folders that they were saved to."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from unshap_plugin.errors import InvalidValueError

__all__ = ["load_model"]


def load_model(folder: str | os.PathLike[str], adapter: str | os.PathLike[str] | None = None) -> tuple[Any, Any]:
    """Return a causal language model, with an adapter of PEFT on it where one is given, and its tokenizer.

    Or a classifier of text, where ``config.json`` names one.

    Nothing is downloaded. The tokenizer is ``None`` where the folder has none, and all data are ``input_ids``.

    Parameters
    ----------
    folder
        Where ``model.save_pretrained`` wrote it.
    adapter
        Where that of the adapter did.

    Raises
    ------
    InvalidValueError
        If there is no model or no adapter, or the adapter is that of another base.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    for path, what, file in ((folder, "model", "config.json"), (adapter, "adapter", "adapter_config.json")):
        if path is not None and not (Path(path) / file).is_file():
            raise InvalidValueError(
                f"there is no {file} in {str(path)!r}: give the folder that the {what} was saved to."
            )
    named = [str(one) for one in _json(Path(folder) / "config.json").get("architectures") or ["a base model"]]
    classifies = any(one.endswith("ForSequenceClassification") for one in named)
    if (
        adapter is not None
        and not classifies
        and _json(Path(adapter) / "adapter_config.json").get("task_type") == "SEQ_CLS"
    ):
        raise InvalidValueError(
            f"the adapter in {str(adapter)!r} is that of a classifier of text, but the model in {str(folder)!r} is "
            f"{named[0]}, without the head that training started from: load it with AutoModelForSequenceClassification "
            f"and the number of labels, and save that."
        )
    try:
        model = (AutoModelForSequenceClassification if classifies else AutoModelForCausalLM).from_pretrained(
            folder, local_files_only=True
        )
    except Exception as error:  # whatever is wrong with the files
        raise InvalidValueError(
            f"the model in {str(folder)!r} cannot be loaded ({_line(error)}): save it again."
        ) from error
    tokenizer = None
    if any((Path(folder) / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if adapter is None:
        return model, tokenizer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT uses an old name of transformers
            return PeftModel.from_pretrained(model, str(adapter)), tokenizer
    except Exception as error:
        raise InvalidValueError(
            f"the adapter in {str(adapter)!r} does not fit the model in {str(folder)!r} ({_line(error)}): give the "
            f"base that it was trained on."
        ) from error


def _json(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"{str(file)!r} cannot be read ({_line(error)}): save it again.") from error
    return found


def _line(error: BaseException) -> str:
    """Return the first line of an error that says something of the matter."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[1:] if len(lines) > 1 and lines[0].endswith(":") else lines
    return (told or [type(error).__name__])[0][:200]
