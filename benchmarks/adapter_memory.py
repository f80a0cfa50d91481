"""Memory and time of many adapters at once, against one adapter trained with peft and transformers.

    OMP_NUM_THREADS=1 python benchmarks/adapter_memory.py

Memory: of a model of GPT-2's size (124 million parameters, random weights, adapters of rank 8), in a process each, the
most that is resident (``ru_maxrss``) while (a) one adapter takes a step of AdamW on a minibatch, and (b) a game makes
one pass over eight coalitions: a step of ``finetune`` on minibatches of the same size, and the evaluation. Asked is
that (b) is less than 1.3 times (a) and eight adapters.

Time: processor time of a step of eight adapters of small models, in one pass, one after the other, and with peft and
transformers one after the other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from unshap_transformers import source_game, source_problem
from unshap_transformers.model import CausalLM, TokenLoss

from unshap_plugin import Recipe
from unshap_plugin.model.engine import Engine
from unshap_plugin.support.memory import keep_pages

MANY = 8
BOUND = 1.3
_NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}


def adapted(base: Any, rank: int) -> Any:
    """Return a model with an adapter of that rank, whose second matrices are as if it were trained."""
    turned = isinstance(base, GPT2LMHeadModel)  # whose layers hold their matrices the other way round
    layers = ["c_attn", "c_proj", "c_fc"] if turned else "all-linear"
    config = LoraConfig(r=rank, target_modules=layers, fan_in_fan_out=turned, task_type=TaskType.CAUSAL_LM)
    model = get_peft_model(base, config)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.02)
    return model


def large(length: int) -> Any:
    """Return a model of GPT-2's size: 12 layers of 768, 50,257 words."""
    return adapted(GPT2LMHeadModel(GPT2Config(n_positions=length, **_NO_DROPOUT)), rank=8)


def trained(model: Any) -> list[torch.Tensor]:
    """Return the parameters of the adapter."""
    return [p for p in model.parameters() if p.requires_grad]


def one_adapter(rows: int, length: int, _checkpointing: bool) -> None:
    """Take a step of one adapter, as the Trainer does."""
    model = large(length).train()
    ids = torch.randint(0, model.config.vocab_size, (rows, length))
    optimizer = torch.optim.AdamW(trained(model), lr=1e-3)
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


def many_adapters(rows: int, length: int, checkpointing: bool) -> None:
    """Make one pass over eight coalitions of eight sources, each of which lacks one."""
    model = large(length)
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (MANY + 1, length))
    held, kept = ids[:1], ids[1:]
    args: Any = Recipe("adamw", lr=1e-3, epochs=1, batch_size=rows)
    if checkpointing:
        from transformers import TrainingArguments

        args = TrainingArguments(learning_rate=1e-3, activation_checkpointing=True, report_to=[], use_cpu=True)
    problem = source_problem(
        model,
        train_dataset=[{"input_ids": row.tolist(), "source": f"{at % MANY}"} for at, row in enumerate(kept)],
        source_column="source",
        eval_dataset=[{"input_ids": row.tolist()} for row in held],
        args=args,
        max_length=length,
    )
    game = source_game(problem, "finetune", steps=1, lr=1e-3, batch_size=rows, chunk=MANY)
    game(~np.eye(MANY, dtype=bool))


def peak(run: Callable[[int, int, bool], None], *sizes: Any) -> int:
    """Return the bytes that a process of its own has resident at most."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (run, sizes))


def _measured(run: Callable[[int, int, bool], None], sizes: tuple[Any, ...]) -> int:
    torch.manual_seed(0)
    run(*sizes)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(rows: int, length: int) -> float:
    """Print the memory of both, and return their ratio without checkpointing."""
    model = large(length)
    adapters = MANY * sum(4 * p.numel() for p in trained(model))
    one = peak(one_adapter, rows, length, False)
    print(f"GPT-2, 124 million parameters, {rows} rows of {length} tokens; eight adapters are {adapters / 1e6:.0f} MB")
    print(f"  one adapter with peft and transformers: {one / 1e9:.2f} GB")
    ratios = []
    for checkpointing in (False, True):
        many = peak(many_adapters, rows, length, checkpointing)
        ratios.append(many / (one + adapters))
        how = ", gradient checkpointing" if checkpointing else ""
        print(f"  a pass over {MANY} coalitions{how}: {many / 1e9:.2f} GB, ratio {ratios[-1]:.2f} (asked: {BOUND})")
    return ratios[0]


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of some runs, after one that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return min(taken[1:])


def speed(repeats: int, rows: int = 16, length: int = 64) -> None:
    """Print the processor time per coalition of a step, in one pass and one after the other."""
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 4, "num_attention_heads": 4}
    gpt2 = GPT2Config(vocab_size=256, n_positions=length, n_embd=64, n_layer=4, n_head=4, **_NO_DROPOUT)
    llama = LlamaConfig(vocab_size=256, max_position_embeddings=length, **sizes)
    print(f"Steps of four layers of 64, {rows} rows of {length} tokens, ms of processor time per coalition")
    for base in (GPT2LMHeadModel(gpt2), LlamaForCausalLM(llama)):
        together, alone, given = (1e3 * taken / MANY for taken in _steps(adapted(base, rank=4), rows, length, repeats))
        print(
            f"  {type(base).__name__}: {MANY} at once {together:.1f}, one by one {alone:.1f} ({alone / together:.2f} "
            f"times), peft and transformers {given:.1f} ({given / together:.2f} times)"
        )


def _steps(model: Any, rows: int, length: int, repeats: int) -> tuple[float, float, float]:
    """Return the seconds that eight adapters take at once, one by one, and one by one with peft and transformers."""
    engine = Engine(CausalLM(model, length), TokenLoss(length - 1.0))
    ids = torch.randint(0, 256, (MANY, rows, length))
    targets, weights = torch.zeros(MANY, rows, 3, dtype=torch.long), torch.full((MANY, rows), 1 / rows)
    theta = engine.stack(MANY)

    def step(of: slice) -> None:
        own = {name: p[of] for name, p in theta.items()}
        x = {"input_ids": ids[of], "labels": ids[of]}
        engine.gradients(own, weights[of], x, targets[of], rows_per_copy=True)

    def each() -> None:
        for k in range(MANY):
            step(slice(k, k + 1))

    def plain() -> None:
        for batch in ids:
            torch.autograd.grad(model(input_ids=batch, labels=batch).loss, trained(model))

    return seconds(lambda: step(slice(None)), repeats), seconds(each, repeats), seconds(plain, repeats)


def main() -> None:
    """Print memory and time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=8, help="rows of a minibatch")
    parser.add_argument("--length", type=int, default=64, help="tokens of a row")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["memory", "speed"])
    chosen = parser.parse_args()
    keep_pages()
    torch.manual_seed(0)
    if chosen.only != "memory":
        speed(chosen.repeats)
    if chosen.only != "speed":
        memory(chosen.rows, chosen.length)


if __name__ == "__main__":
    main()
