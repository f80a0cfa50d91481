"""Language models in little memory: the same numbers, of fewer numbers at a time."""

from __future__ import annotations

import copy
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("peft", reason="language models are an extra")

from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    TrainingArguments,
)
from unshap_transformers import source_game, source_problem, token_losses
from unshap_transformers.classifiers import TextClassifier
from unshap_transformers.model import CausalLM, TokenLoss
from unshap_transformers.training import computing_of

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model import blocks
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.swapped import SwappedModule
from unshap_plugin.support.peak import peak_bytes

LENGTH, WORDS, M, ROWS = 32, 100, 3, 5


def base(kind, words=WORDS, width=32, layers=2, length=LENGTH):
    torch.manual_seed(0)
    if kind == "gpt2":
        quiet = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0, "bos_token_id": 0, "eos_token_id": 0}
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=words, n_positions=length, n_embd=width, n_layer=layers, n_head=4, **quiet)
        )
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    config, model = (LlamaConfig, LlamaForCausalLM) if kind == "llama" else (Gemma2Config, Gemma2ForCausalLM)
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": width // 4}
    special = {"pad_token_id": None, "bos_token_id": 0, "eos_token_id": 0}
    return model(config(vocab_size=words, max_position_embeddings=length, **sizes, **heads, **special))


def adapted(kind, **sizes):
    turned = kind == "gpt2"
    layers = ["c_attn", "c_proj", "c_fc"] if turned else "all-linear"
    config = LoraConfig(r=2, target_modules=layers, fan_in_fan_out=turned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PEFT itself, which uses an old name of transformers
        model = get_peft_model(base(kind, **sizes), config)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1)
    return model.eval()


def rows_of(*shape, words=WORDS):
    ids = torch.randint(words, shape, generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[..., :3] = -100
    labels[..., 0, 20:] = -100
    return {"input_ids": ids, "labels": labels}, torch.zeros(*shape[:-1], 3, dtype=torch.long)


def copies(engine):
    generator = torch.Generator().manual_seed(2)
    return {name: p + 0.05 * torch.randn(p.shape, generator=generator) for name, p in engine.stack(M).items()}


@pytest.mark.parametrize("bias", [False, True])
def test_losses_of_blocks_of_tokens_are_those_of_all_scores(monkeypatch, bias):
    monkeypatch.setattr(token_losses, "_BYTES", 1)
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (70, WORDS))
    shift = torch.randn(WORDS, generator=generator, dtype=torch.float64) if bias else None
    wanted = torch.randint(WORDS, (70,), generator=generator)
    wanted[::7] = -100
    hidden.requires_grad_()
    assert len(list(token_losses._blocks(70, WORDS))) == 3
    losses, none = token_losses.token_losses(hidden, weight, shift, wanted)
    expected = F.cross_entropy(F.linear(hidden, weight, shift), wanted, ignore_index=-100, reduction="none")
    torch.testing.assert_close(losses.double(), expected, atol=1e-5, rtol=1e-5)
    by = torch.linspace(-1, 2, 70)
    [found] = torch.autograd.grad((by * losses).sum(), hidden, retain_graph=True)
    [right] = torch.autograd.grad((by * expected).sum(), hidden, retain_graph=True)
    torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-5)
    assert not none.any()
    twice = []
    for value in (losses, expected):  # gradients of gradients, which some methods take
        [first] = torch.autograd.grad((by * value).sum(), hidden, create_graph=True)
        twice.append(torch.autograd.grad(first.square().sum(), hidden)[0])
    torch.testing.assert_close(*twice, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        again, hits = token_losses.token_losses(hidden, weight, shift, wanted)
    torch.testing.assert_close(again, losses.detach())
    assert hits.tolist() == (F.linear(hidden, weight, shift).argmax(dim=1) == wanted).tolist()


@pytest.mark.parametrize(("kind", "ends"), [("gpt2", True), ("llama", True), ("gemma2", False)])
def test_a_model_answers_with_the_loss_of_transformers(kind, ends):
    """Gemma 2 bounds its scores after the head, so that all of them are computed."""
    model = adapted(kind)
    module = CausalLM(model, LENGTH)
    assert module._ends_in_head is ends
    x, _ = rows_of(ROWS, LENGTH)
    given, ours = model(**x), module(**x)
    count = (x["labels"][:, 1:] != -100).sum()
    assert float(-ours[:, 0].detach().sum() / count) == pytest.approx(float(given.loss.detach()), abs=1e-6)
    assert ours[:, 1].sum() == count
    assert not ours[:, 2].any()
    with torch.no_grad():
        hits = (given.logits[:, :-1].argmax(dim=-1) == x["labels"][:, 1:]).sum(dim=1)
        assert module(**x)[:, 2].tolist() == hits.tolist()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    expected = torch.autograd.grad(given.loss, list(trained.values()))
    found = torch.autograd.grad(-ours[:, 0].sum() / count, [p for p in module.parameters() if p.requires_grad])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
        assert other.abs().max() > 1e-5


def test_a_head_that_is_trained_gets_all_scores():
    model = base("llama")
    assert not CausalLM(model, LENGTH)._ends_in_head


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_minibatches_in_blocks_have_the_gradients_of_the_mean_over_all_tokens(monkeypatch, kind, checkpointing):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    model = adapted(kind)
    engine = Engine(CausalLM(model, LENGTH, checkpointing=checkpointing), TokenLoss(25.0))
    x, y = rows_of(M, ROWS, LENGTH)
    theta = copies(engine)
    tokens = (x["labels"][..., 1:] != -100).sum(dim=(1, 2))
    weights = (25.0 / tokens)[:, None].expand(M, ROWS)
    assert len(engine._blocks(x, True)) == ROWS
    assert isinstance(engine._form({name: t.flatten(0, 1) for name, t in x.items()}), SwappedModule)
    found = engine.gradients(theta, weights, x, y, rows_per_copy=True)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    for k in range(M):
        own = copy.deepcopy(model)
        own.load_state_dict({name: theta[f"model.{name}"][k] for name in names}, strict=False)
        loss = own(input_ids=x["input_ids"][k], labels=x["labels"][k]).loss
        expected = torch.autograd.grad(loss, [dict(own.named_parameters())[name] for name in names])
        for name, p in zip(names, expected, strict=True):
            torch.testing.assert_close(found[f"model.{name}"][k], p, atol=1e-6, rtol=1e-3)
            assert p.abs().max() > 1e-5, "PEFT with gradient checkpointing may train nothing"
        alone = engine.gradients(
            {name: p[k : k + 1] for name, p in theta.items()},
            weights[k : k + 1],
            {name: t[k : k + 1] for name, t in x.items()},
            y[k : k + 1],
            rows_per_copy=True,
        )
        assert all(torch.equal(p[0], found[name][k]) for name, p in alone.items())


def test_layers_that_run_again_keep_less():
    x, _ = rows_of(2, LENGTH)
    each = []
    for checkpointing in (False, True):
        engine = Engine(CausalLM(adapted("gpt2", layers=6), LENGTH, checkpointing=checkpointing), TokenLoss(25.0))
        each.append(engine._row_blocks.bytes_of_a_row(engine._form(x), engine.theta0, x))
    assert each[1] < 0.5 * each[0]


@pytest.mark.parametrize("how", ["checkpointing", "bf16"])
def test_classifiers_run_layers_again_and_compute_in_bfloat16_too(how):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=WORDS, max_position_embeddings=LENGTH, num_labels=3, **sizes)
    model = BertForSequenceClassification(config).eval()
    for name, p in model.named_parameters():
        p.requires_grad_("query" in name or "classifier" in name)
    ids, y = rows_of(ROWS, LENGTH)[0]["input_ids"], torch.arange(ROWS) % 3
    x = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    plain, other = (Engine(TextClassifier(model, LENGTH, **more), cross_entropy) for more in ({}, {how: True}))
    theta, weights = copies(plain), torch.full((M, ROWS), 1 / ROWS)
    found, expected = (engine.gradients(theta, weights, x, y) for engine in (other, plain))
    assert isinstance(other._folded, SwappedModule)
    exact = how == "checkpointing"
    for name, p in expected.items():
        close = 1e-6 if exact else 0.1 * float(p.abs().max())
        torch.testing.assert_close(found[name], p, atol=close, rtol=1e-4)
    assert exact is all(torch.allclose(found[name], p, atol=1e-6) for name, p in expected.items())


def problem_of(args, kind="gpt2"):
    x, _ = rows_of(24, LENGTH)
    train = [{"input_ids": row.tolist(), "source": "abc"[at % 3]} for at, row in enumerate(x["input_ids"][:18])]
    held = [{"input_ids": row.tolist()} for row in x["input_ids"][18:]]
    return source_problem(adapted(kind), train_dataset=train, source_column="source", eval_dataset=held, args=args)


def arguments(**changed):
    return TrainingArguments("runs", learning_rate=1e-2, num_train_epochs=1, report_to=[], use_cpu=True, **changed)


COALITIONS = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=bool)


@pytest.mark.parametrize("name", ["finetune", "retrain"])
def test_arguments_of_the_trainer_are_followed(name):
    """Checkpointing changes no number, and bfloat16 some, but none of them depends on who else is in a pass."""
    settings = {"steps": 2, "batch_size": 4} if name == "finetune" else {}
    found = {}
    for how in ({}, {"activation_checkpointing": True}, {"bf16": True}):
        problem = problem_of(arguments(**how))
        assert bool(problem.engine.module.runs_again) is bool(how.get("activation_checkpointing"))
        game, alone = (source_game(problem, name, chunk=chunk, **settings) for chunk in (4, 1))
        found[tuple(how)] = game(COALITIONS)
        assert found[tuple(how)].tolist() == alone(COALITIONS).tolist()
        assert isinstance(problem.engine._folded, SwappedModule)
        assert problem.engine.batched
    plain, again, rough = found.values()
    np.testing.assert_allclose(again, plain, atol=1e-6)
    np.testing.assert_allclose(rough, plain, atol=3e-2)
    assert not np.array_equal(rough, plain)


def test_float16_is_refused_in_one_sentence():
    with pytest.raises(InvalidValueError, match=r"^args.fp16 is True, but gradients in float16 .* use bf16=True"):
        computing_of(SimpleNamespace(fp16=True))


@pytest.mark.parametrize("name", ["activation_checkpointing", "gradient_checkpointing"])
def test_checkpointing_has_an_older_and_a_newer_name(name):
    assert computing_of(SimpleNamespace(**{name: True})) == {"checkpointing": True, "bf16": False}


def test_a_step_of_eight_adapters_takes_little_more_than_one_and_eight_adapters():
    """Of a wide vocabulary, as transformers trains one, and as eight are unlearned."""
    words, length, rows = 8192, 128, 8
    model = adapted("gpt2", words=words, width=64, length=length)
    x, y = rows_of(8, rows, length, words=words)
    trained = [p for p in model.parameters() if p.requires_grad]

    def one():
        loss = model(input_ids=x["input_ids"][0], labels=x["labels"][0]).loss
        torch.autograd.grad(loss, trained)

    engine = Engine(CausalLM(model, length), TokenLoss(100.0))
    engine.bytes_per_coalition({name: t[0] for name, t in x.items()})  # measured once
    theta, weights = engine.stack(8), torch.full((8, rows), 1 / rows)
    adapters = 8 * 4 * engine.n_parameters
    eight = peak_bytes(lambda: engine.gradients(theta, weights, x, y, rows_per_copy=True))
    assert eight < 1.3 * (peak_bytes(one) + adapters)
    assert eight < 8 * engine.bytes_per_coalition({name: t[0] for name, t in x.items()})
