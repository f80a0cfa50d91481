"""Small classifiers of text that are made on the spot, and reviews of words of which half are of one class."""

from __future__ import annotations

import warnings

import numpy as np
import torch

KINDS = ("gpt2", "llama", "bert", "distilbert")
WORDS = [f"w{number}" for number in range(24)]
NAMES = {0: "bad", 1: "good"}
LENGTH = 24


def reviews(count, seed=0, wrong=(), shops=("acme", "bolt", "corp")):
    """Rows of text, label and shop: most words of a good review are of the second half. The rows ``wrong`` are not."""
    rng, rows = np.random.default_rng(seed), []
    for at in range(count):
        label = at % 2
        odds = np.where((np.arange(len(WORDS)) >= len(WORDS) // 2) == bool(label), 4.0, 1.0)
        words = rng.choice(WORDS, int(rng.integers(4, 14)), p=odds / odds.sum())
        label = 1 - label if at in wrong else label
        rows.append({"text": " ".join(words), "label": NAMES[label], "shop": shops[at // 2 % len(shops)]})
    return rows


def word_tokenizer(kind, **changed):
    """One token a word; BERT's begin and end a text, and tell the parts of a pair."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = {word: number for number, word in enumerate([*special, *WORDS])}
    one = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    one.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = ["input_ids", "attention_mask"]
    if "bert" in kind:
        one.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names += ["token_type_ids"] if kind == "bert" else []
    padding = {"pad_token": "[PAD]", "model_max_length": LENGTH}
    return PreTrainedTokenizerFast(
        tokenizer_object=one, unk_token="[UNK]", model_input_names=names, **{**padding, **changed}
    )


def untrained(kind, seed=0, **changed):
    """A classifier of two classes whose parameters are random."""
    import transformers as t

    width = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    longest = {"max_position_embeddings": LENGTH}
    configs = {
        "gpt2": (t.GPT2Config, {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LENGTH}),
        "llama": (t.LlamaConfig, width | longest),
        "bert": (t.BertConfig, width | longest),
        "distilbert": (t.DistilBertConfig, {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32} | longest),
    }
    quiet = {
        "gpt2": dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        "bert": dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0),
        "distilbert": dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout"), 0.0),
        "llama": {},
    }
    config, sizes = configs[kind]
    names = {"id2label": NAMES, "label2id": {name: number for number, name in NAMES.items()}}
    given = config(vocab_size=4 + len(WORDS), pad_token_id=0, **sizes, **quiet[kind], **names | changed)
    given.bos_token_id = given.eos_token_id = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return t.AutoModelForSequenceClassification.from_config(given).eval()


def with_adapter(base, kind, seed=0):
    """A ``PeftModel`` of LoRA at its start, with the whole head."""
    from peft import LoraConfig, TaskType, get_peft_model

    layers = {"gpt2": ["c_attn", "c_fc"], "llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}
    config = LoraConfig(
        r=4,
        target_modules=layers.get(kind, ["q_lin", "v_lin"]),
        fan_in_fan_out=kind == "gpt2",
        task_type=TaskType.SEQ_CLS,
    )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        warnings.simplefilter("ignore", FutureWarning)  # of PEFT itself, which uses an old name of transformers
        return get_peft_model(base, config)


def scores(model, tokenizer, rows):
    """Scores of the classes of each row, read alone."""
    with torch.no_grad():
        return torch.cat([model(**tokenizer(row["text"], return_tensors="pt")).logits for row in rows])


def learned(model, tokenizer, rows, lr=1e-2, epochs=3, batch_size=8, seed=0):
    """Train what needs gradients as the loop of a trainer would, with padding to the longest of a batch."""
    rng = np.random.default_rng(seed)
    model.train()
    steps = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)
    numbers = {name: number for number, name in NAMES.items()}
    for _ in range(epochs):
        for part in np.array_split(rng.permutation(len(rows)), -(-len(rows) // batch_size)):
            batch = tokenizer([rows[at]["text"] for at in part], padding=True, return_tensors="pt")
            loss = model(**batch, labels=torch.tensor([numbers[rows[at]["label"]] for at in part])).loss
            steps.zero_grad()
            loss.backward()
            steps.step()
    return model.eval()
