"""A small fine-tuned model that is made on the spot: an adapter for six sources of the standard library's bytes."""

from __future__ import annotations

import sysconfig
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin import Recipe
from unshap_plugin.errors import UnknownNameError
from unshap_transformers.model import CausalLM, TokenLoss

__all__ = ["Example", "stdlib"]

#: Bytes of a row.
LENGTH = 64
#: Of what files a source is, and its rows for each hundred of the largest one.
_SOURCES = {
    "json": ("json/*.py", 80),
    "email": ("email/*.py", 100),
    "unittest": ("unittest/*.py", 60),
    "scrambled": ("asyncio/*.py", 60),
    "email again": ("email/*.py", 40),
    "xml": ("xml/*/*.py", 20),
}
#: What the base model is trained on, and what is evaluated.
_BASE, _HELD_OUT = (
    "idlelib/*.py",
    ("json/*.py", "email/*.py", "unittest/*.py", "xml/*/*.py", "http/*.py", "logging/*.py"),
)
_KINDS = ("gpt2", "llama")


@dataclass(frozen=True, eq=False)
class Example:
    """A fine-tuned model and its data, as ``source_problem`` takes them.

    Parameters
    ----------
    model
        A ``PeftModel`` with the adapter of LoRA that was trained on all sources.
    train_dataset, eval_dataset, reference_dataset
        Rows of bytes as ``input_ids``, those of training with their ``source``.
    args
        How the adapter was trained.
    initial_adapter
        What it started from, ``{name: [*shape]}``.
    """

    model: Any
    train_dataset: list[dict[str, Any]]
    eval_dataset: list[dict[str, Any]]
    reference_dataset: list[dict[str, Any]]
    args: Recipe
    initial_adapter: dict[str, Tensor]

    def data(self) -> dict[str, Any]:
        """Return the arguments of ``source_problem`` beside the model."""
        own = vars(self).items()
        return {**{name: value for name, value in own if name != "model"}, "source_column": "source"}


def stdlib(kind: str = "gpt2", *, seed: int = 0, rows: int = 100, base_rows: int = 1500) -> Example:
    """Return a model of the standard library's source.

    A model of two layers of 32 is trained on the source of idlelib, and then an adapter of rank 4 on six sources: one
    has the bytes of each row in random order, and two are of the same files, the smaller with half of its rows from the
    larger.

    Parameters
    ----------
    kind
        ``"gpt2"`` or ``"llama"``.
    seed
        Seed of all of it.
    rows
        Rows of 64 bytes of the largest source; all six have 3.6 times as many.
    base_rows
        Rows that the base model is trained on, three times.

    Raises
    ------
    UnknownNameError
        If there is no such kind of model.
    """
    if kind not in _KINDS:
        raise UnknownNameError("kind of model", kind, _KINDS)
    rng = np.random.default_rng(seed)
    train: list[dict[str, Any]] = []
    for source, (files, share) in _SOURCES.items():
        found = _rows(files, max(2, share * rows // 100), rng)
        if source == "email":
            shared = found
        elif source == "email again":
            half = len(found) // 2
            found[:half] = rng.choice(shared, half, replace=False)
        for row in found:
            train.append(
                {"input_ids": (rng.permutation(row) if source == "scrambled" else row).tolist(), "source": source}
            )
    each = max(2, rows // 8)
    known, others = {tuple(row["input_ids"]) for row in train}, []
    for _ in range(2):  # to evaluate, and for reference
        held = [row.tolist() for files in _HELD_OUT for row in _rows(files, each, rng)]
        others.append([{"input_ids": row} for row in held if tuple(row) not in known])
        known.update(map(tuple, held))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        base, layers = _model(kind)
        base = Recipe("adamw", lr=3e-3, epochs=3, batch_size=32).train(
            CausalLM(base, LENGTH), TokenLoss(LENGTH - 1.0), *_pair(_rows(_BASE, base_rows, rng)), seed=seed
        )
        assert isinstance(base, CausalLM)
        adapted = _with_adapter(base.model, layers, kind)
    args = Recipe("adamw", lr=1e-2, epochs=4, batch_size=16, options={"weight_decay": 0.0}, schedule="linear")
    start = {name: p.detach().clone() for name, p in adapted.named_parameters() if p.requires_grad}
    ids = np.array([row["input_ids"] for row in train])
    tuned = args.train(CausalLM(adapted, LENGTH), TokenLoss(LENGTH - 1.0), *_pair(ids), seed=seed)
    assert isinstance(tuned, CausalLM)
    return Example(tuned.model, train, others[0], others[1], args, start)


def _model(kind: str) -> tuple[nn.Module, Any]:
    """Return an untrained model, and the names of the layers that get an adapter."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    if kind == "gpt2":
        config = GPT2Config(
            vocab_size=256,
            n_positions=LENGTH,
            n_embd=32,
            n_layer=2,
            n_head=4,
            bos_token_id=0,
            eos_token_id=0,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
        )
        return GPT2LMHeadModel(config), ["c_attn", "c_proj", "c_fc"]
    sizes = {"hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=256, max_position_embeddings=LENGTH, **sizes)), "all-linear"


def _with_adapter(base: nn.Module, layers: Any, kind: str) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model

    turned = kind == "gpt2"  # whose layers hold their matrices the other way round
    config = LoraConfig(r=4, target_modules=layers, fan_in_fan_out=turned, task_type=TaskType.CAUSAL_LM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PEFT itself, which uses an old name of transformers
        return get_peft_model(base, config)


def _rows(files: str, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return some of the rows of 64 bytes of files of the standard library, ``[count, 64]``."""
    library = Path(sysconfig.get_paths()["stdlib"])
    data = np.frombuffer(b"\n".join(path.read_bytes() for path in sorted(library.glob(files))), dtype=np.uint8)
    blocks = data[: len(data) // LENGTH * LENGTH].reshape(-1, LENGTH)
    return blocks[np.sort(rng.choice(len(blocks), min(count, len(blocks)), replace=False))].astype(np.int64)


def _pair(ids: NDArray[np.int64]) -> tuple[dict[str, Tensor], Tensor]:
    rows = torch.from_numpy(ids)
    return {"input_ids": rows, "labels": rows}, torch.zeros(len(rows), 3, dtype=torch.long)
