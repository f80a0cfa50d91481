"""What is wrong with language models, classifiers, their training and evaluation, and with ``unshap text``."""

from __future__ import annotations

import copy
import functools
import json
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("peft", reason="language models are an extra")

from advice import ROOT, Case, check, without_a_case
from peft import IA3Config, LoraConfig
from reviews import learned, reviews, untrained, with_adapter, word_tokenizer
from text_modules import MODELS
from transformers import TrainingArguments
from unshap_transformers import example as examples
from unshap_transformers import source_game, source_problem
from unshap_transformers.example import stdlib
from unshap_transformers.loading import load_model

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.cli.main import main

FOLDERS = [*MODELS, "unshap_plugin/cli/text.py"]


@functools.cache
def _made():
    return stdlib(rows=10, base_rows=32)


def made(players=6, **changed):
    """The problem of the example, after changes."""
    example = copy.copy(_made())
    given = {**example.data(), "reference_dataset": None, **changed}
    problem = source_problem(given.pop("model", example.model), **given)
    assert problem.n_players == players
    return problem


def model(change=lambda model: None):
    """A copy of the model, changed."""
    other = copy.deepcopy(_made().model)
    change(other)
    return other


def base():
    return copy.deepcopy(_made().model).unload()


def frozen():
    return base().requires_grad_(False)


def whole():
    return base().requires_grad_(True)


def started():
    """The base before training, as a model."""
    other = whole()
    for p in other.parameters():
        p.data *= 0.9
    return other


def quantised(model):
    model.config.quantization_config = {"quant_method": "bitsandbytes"}


def halved(model):
    """As PEFT puts an adapter on a base in bfloat16."""
    for p in model.parameters():
        p.data = p.data if p.requires_grad else p.data.bfloat16()


def at_its_start(model):
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.zero_()


def two_adapters(model):
    model.add_adapter("other", LoraConfig(r=2, target_modules=["c_fc"], fan_in_fan_out=True))
    model.base_model.set_adapter(["default", "other"])


def one_chosen(model):
    two_adapters(model)
    model.set_adapter("default")


def of_another_kind():
    from peft import get_peft_model

    config = IA3Config(target_modules=["c_attn", "c_fc"], feedforward_modules=["c_fc"], fan_in_fan_out=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PEFT itself, which uses an old name of transformers
        return get_peft_model(base(), config)


def saved_adapter(inside=None):
    """Give what an adapter was saved to as the start, or a folder in which there is none."""
    with TemporaryDirectory() as path:
        model(lambda m: [p.data.mul_(0.5) for p in m.parameters()]).save_pretrained(path)
        return made(initial_adapter=Path(path, inside) if inside else path)


def in_half():
    """Arguments that the Trainer itself takes with an accelerator alone."""
    args = arguments()
    args.fp16 = True
    return args


def arguments(**given):
    return TrainingArguments("unused", use_cpu=True, **given)


QUESTION = {"prompt": "import ", "choices": ["os", "sys"], "answer": 0}


class Bytes:
    """A tokenizer of bytes."""

    is_fast, bos_token_id, eos_token_id, pad_token_id = True, None, None, 0

    def __call__(self, texts, return_attention_mask, verbose):
        return {"input_ids": [list(text.encode()) for text in texts]}


def asked(*questions, **changed):
    given = {"metric": "choice_accuracy", "processing_class": Bytes(), "eval_dataset": [*questions]}
    return made(**given | changed)


ADAPTERS = [
    Case(
        "a quantised base",
        lambda: made(model=model(quantised)),
        "load it without quantization_config, in bfloat16 where memory is short, and put the adapter on that.",
        (made, lambda: made(model=model(halved))),
    ),
    Case(
        "nothing was trained",
        lambda: made(model=frozen(), initial_adapter=None),
        "give the PeftModel with the adapter that was trained, or set requires_grad of what was.",
        (made, lambda: made(model=whole(), initial_adapter=started())),
    ),
    Case(
        "a start of other settings",
        lambda: made(initial_adapter={name: p[:1] for name, p in _made().initial_adapter.items()}),
        "give the adapter that training started from as initial_adapter.",
        (lambda: made(initial_adapter=_made().initial_adapter),),
    ),
    Case(
        "the end for the start",
        lambda: made(initial_adapter=_made().model),
        "give the adapter that training started from as initial_adapter, or leave it out for the base model.",
        (made, lambda: made(initial_adapter=None)),
    ),
    Case(
        "two adapters",
        lambda: made(model=model(two_adapters), initial_adapter=None),
        "choose it with model.set_adapter.",
        (lambda: made(model=model(one_chosen), initial_adapter=None),),
    ),
    Case(
        "another adapter than LoRA",
        lambda: made(model=of_another_kind(), initial_adapter=None),
        "give one of LoRA.",
        (lambda: made(initial_adapter=None),),
    ),
    Case(
        "more than LoRA was trained",
        lambda: made(
            model=model(lambda m: m.base_model.model.transformer.ln_f.requires_grad_(True)), initial_adapter=None
        ),
        "give the adapter that training started from as initial_adapter.",
        (
            lambda: made(
                model=model(lambda m: m.base_model.model.transformer.ln_f.requires_grad_(True)),
                initial_adapter=model(lambda m: m.base_model.model.transformer.ln_f.weight.data.mul_(0.9)),
            ),
        ),
    ),
    Case(
        "an adapter that learned nothing",
        lambda: made(model=model(at_its_start), initial_adapter=None),
        "train it (with gradient checkpointing, PEFT trains nothing without model.enable_input_require_grads()).",
        (lambda: made(initial_adapter=None),),
    ),
    Case(
        "a folder without an adapter",
        lambda: saved_adapter("nowhere"),
        "give the folder that the adapter was saved to.",
        (saved_adapter,),
    ),
    Case(
        "a number for the start",
        lambda: made(initial_adapter=3),
        "a model, its state dict, or the folder that an adapter was saved to is needed.",
        (lambda: made(initial_adapter=model(at_its_start)), made, saved_adapter),
    ),
]

EVALUATION = [
    Case(
        "no evaluation set",
        lambda: made(eval_dataset={}),
        "eval_dataset is an empty dict: give at least one set.",
        (lambda: made(eval_dataset={"buyer": _made().eval_dataset}),),
    ),
    Case(
        "one document for two sets",
        lambda: made(access="partial", eval_dataset=_made().eval_dataset[:1]),
        "give more, or a reference_dataset.",
        (
            lambda: made(access="partial", eval_dataset=_made().eval_dataset[:2]),
            lambda: made(
                access="partial",
                eval_dataset=_made().eval_dataset[:1],
                reference_dataset=_made().reference_dataset,
            ),
        ),
    ),
    Case(
        "a long question",
        lambda: asked(QUESTION, {**QUESTION, "prompt": "import a" * 5}, max_length=32),
        "give a larger max_length, or drop that question.",
        (
            lambda: asked(QUESTION, {**QUESTION, "prompt": "import a" * 5}, max_length=64),
            lambda: asked(QUESTION, max_length=32),
        ),
    ),
    Case(
        "no questions",
        lambda: made(metric="choice_accuracy"),
        "give rows with prompt, choices and answer, or choose another metric.",
        (lambda: asked(QUESTION), lambda: made(metric="token_accuracy")),
    ),
    Case(
        "one choice",
        lambda: asked({**QUESTION, "choices": ["os"]}),
        "text and a list of two texts or more are needed: convert them.",
        (lambda: asked(QUESTION),),
    ),
    Case(
        "an answer that is no choice",
        lambda: asked({**QUESTION, "answer": "re"}),
        "give the number of the right one, from 0, or its text.",
        (lambda: asked(QUESTION), lambda: asked({**QUESTION, "answer": "sys"})),
    ),
]

TRAINING = [
    Case(
        "a model that was trained whole, and no start",
        lambda: made(model=whole(), initial_adapter=None),
        "give the model that it started from as initial_adapter.",
        (lambda: made(model=whole(), initial_adapter=started()),),
    ),
    Case(
        "a model that was trained whole, and nothing else",
        lambda: source_game(made(model=whole(), initial_adapter=None, args=None)),
        "give args and initial_adapter, or name an unlearner with its steps and its lr.",
        (
            lambda: source_game(made(model=whole(), initial_adapter=started())),
            lambda: UnlearningGame(
                made(model=whole(), initial_adapter=started(), args=None), "graddiff", steps=1, lr=0.1
            ),
        ),
    ),
    Case(
        "an optimiser that is not followed",
        lambda: made(args=arguments(optim="adafactor")),
        "leave args out, and unlearners that need no recipe remain.",
        (lambda: source_game(made(args=None)),),
    ),
    Case(
        "a number of steps",
        lambda: made(args=arguments(max_steps=5)),
        "give a whole number of epochs as num_train_epochs, and max_steps=-1.",
        (lambda: made(args=arguments(num_train_epochs=2, max_steps=-1)),),
    ),
    Case(
        "gradients in float16",
        lambda: made(args=in_half()),
        "use bf16=True, or neither.",
        (lambda: made(args=arguments(bf16=True)), lambda: made(args=arguments())),
    ),
]


@functools.cache
def _classifier():
    tokenizer = word_tokenizer("gpt2")
    return learned(with_adapter(untrained("gpt2"), "gpt2"), tokenizer, reviews(12), epochs=1), tokenizer


def classified(players=12, change=lambda model: None, **changed):
    """The problem of the rows of a small classifier, after changes."""
    trained, tokenizer = _classifier()
    other = copy.deepcopy(trained)
    change(other.get_base_model())
    given = {"train_dataset": reviews(12), "label_column": "label", "eval_dataset": reviews(8, seed=1)}
    given |= {"processing_class": tokenizer}
    problem = source_problem(changed.pop("model", other), **given | changed)
    assert problem.n_players == players


def set_config(**given):
    return lambda model: [setattr(model.config, name, value) for name, value in given.items()]


def regression():
    """The scores of reviews by a model of one output, as a problem of its own."""
    rows, tokenizer = reviews(8), word_tokenizer("gpt2")
    batch = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    pair = dict(batch), [float(row["label"] == "good") for row in rows]
    one = untrained("gpt2", id2label={0: "score"}, label2id={"score": 0})
    problem = ValuationProblem(one, pair, pair, loss="mse", metric="neg_mean_squared_error")
    assert problem.n_players == 8


CLASSIFIERS = [
    Case(
        "a classifier without labels",
        lambda: classified(label_column=None),
        "model is a GPT2ForSequenceClassification, a classifier of text: name the column of the labels as "
        "label_column.",
        (classified,),
    ),
    Case(
        "a language model with labels",
        lambda: made(label_column="label"),
        "leave label_column out, or load the classifier with AutoModelForSequenceClassification.",
        (made, classified),
    ),
    Case(
        "numbers for classes",
        lambda: classified(change=set_config(problem_type="regression")),
        "give it to ValuationProblem, with the loss and the metric that are right for it.",
        (regression,),
    ),
    Case(
        "no token of padding",
        lambda: classified(change=set_config(pad_token_id=None)),
        "set it to what it was in training, such as tokenizer.pad_token_id.",
        (lambda: classified(change=set_config(pad_token_id=_classifier()[1].pad_token_id)),),
    ),
    Case(
        "rows of one source",
        lambda: classified(train_dataset=reviews(12, shops=("acme",)), source_column="shop"),
        "give rows of another one, or leave source_column out, and every row is one.",
        (
            lambda: classified(train_dataset=reviews(12, shops=("acme", "bolt")), source_column="shop", players=2),
            lambda: classified(train_dataset=reviews(12, shops=("acme",))),
        ),
    ),
    Case(
        "a single row",
        lambda: classified(train_dataset=reviews(1)),
        "train_dataset has a single row, but values compare at least two: give more.",
        (lambda: classified(train_dataset=reviews(2), players=2),),
    ),
]


@functools.cache
def _folder():
    """Saved models and adapters, and tables of their text."""
    kept = TemporaryDirectory()
    path, example = Path(kept.name), _made()
    trained, tokenizer = _classifier()
    example.model.save_pretrained(path / "adapter")
    base().save_pretrained(path / "model")
    stdlib("llama", rows=10, base_rows=32).model.unload().save_pretrained(path / "other")
    trained.save_pretrained(path / "classifier adapter")
    untrained("gpt2").save_pretrained(path / "classifier")
    tokenizer.save_pretrained(path / "classifier")
    rows = [{**row, "source": "bad" if row["source"] == "scrambled" else "good"} for row in example.train_dataset]
    tables = {"train": rows, "eval": example.eval_dataset, "reviews": reviews(8), "held_out": reviews(8, seed=1)}
    for name, table in tables.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    (path / "broken").mkdir()
    (path / "broken" / "config.json").write_text("{")
    return kept, path


def loaded(name, adapter=None):
    _, path = _folder()
    found, _ = load_model(path / name, None if adapter is None else path / adapter)
    assert any(True for _ in found.parameters())
    return found


LOADING = [
    Case(
        "no model",
        lambda: loaded("nowhere"),
        "give the folder that the model was saved to.",
        (lambda: loaded("model"),),
    ),
    Case(
        "no adapter",
        lambda: loaded("model", "model"),
        "give the folder that the adapter was saved to.",
        (lambda: loaded("model", "adapter"),),
    ),
    Case("a broken file", lambda: loaded("broken"), "save it again.", (lambda: loaded("model"),)),
    Case(
        "an adapter of another base",
        lambda: loaded("other", "adapter"),
        "give the base that it was trained on.",
        (lambda: loaded("model", "adapter"),),
    ),
    Case(
        "an adapter of a classifier",
        lambda: loaded("model", "classifier adapter"),
        "load it with AutoModelForSequenceClassification and the number of labels, and save that.",
        (lambda: loaded("classifier", "classifier adapter"),),
    ),
]


def small(seed):
    """The example with two sources, which have four coalitions."""
    rows = [row for row in _made().train_dataset if row["source"] in ("json", "scrambled")]
    return replace(_made(), train_dataset=rows)


def typed(*command, code=0):
    """Type a command beside the models and tables, and return what it said."""
    _, path = _folder()
    out, error = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.chdir(path)
        patch.setattr(examples, "stdlib", small)
        assert main(["text", *command]) == code, error.getvalue()
    return out.getvalue() + error.getvalue()


@functools.cache
def the_example():
    assert "by retraining" in typed("--example", "stdlib")


def refused(*command):
    """Type a command that is refused, and raise what the command line made one sentence of."""
    from unshap_plugin.cli import main as module

    caught = []

    def spied(message, given, spied_on=module.in_options):
        caught.append(sys.exc_info()[1])
        return spied_on(message, given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "in_options", spied)
        said = typed(*command, code=2)
    error = caught[0]
    error.args = (said.removeprefix("unshap: error: ").strip(),)
    raise error


MODEL = ("--model", "model", "--adapter", "adapter", "--train", "train.jsonl", "--eval", "eval.jsonl")
SOURCES = (*MODEL, "--source-column", "source")
REVIEWS = ("--model", "classifier", "--adapter", "classifier adapter", "--train", "reviews.jsonl", "--eval")
REVIEWS = (*REVIEWS, "held_out.jsonl", "--budget", "20")


def without_peft():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "peft", None)
        refused(*SOURCES)


def an_extra_brings_it():
    assert '"peft' in (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\ntransformers = [")[2][:60]


def says(words, *command):
    assert words in typed(*command)


COMMANDS = [
    Case(
        "nothing installed",
        without_peft,
        "run pip install 'unshap-plugin[transformers]', which brings what they need.",
        (an_extra_brings_it,),
    ),
    Case(
        "no model",
        lambda: refused(*SOURCES[2:]),
        "--model was not given: give --model, --train and --eval, or --example stdlib.",
        (lambda: says("bad", *SOURCES), the_example),
    ),
    Case(
        "a model and an example",
        lambda: refused("--example", "stdlib", "--label-column", "label"),
        "--example brings its own model and text, but --label-column was given too: leave one out.",
        (the_example,),
    ),
    Case(
        "another example",
        lambda: refused("--example", "books"),
        "there is no example 'books': give --example stdlib.",
        (the_example,),
    ),
    Case(
        "nobody's documents",
        lambda: refused(*MODEL),
        "nothing says whose the documents of --train ('train.jsonl') are: name the column that does as "
        "--source-column, or give a folder with a sub-folder per source.",
        (lambda: says("bad", *SOURCES),),
    ),
    Case(
        "nobody's labels",
        lambda: refused(*REVIEWS),
        "name the column of the labels as --label-column.",
        (lambda: says("(log_likelihood on 8 test rows)", *REVIEWS, "--label-column", "label"),),
    ),
    Case(
        "rows that are too long",
        lambda: refused(*SOURCES, "--max-length", "65"),
        "--max-length is 65, but the model reads at most 64 tokens: give --max-length=64 or less.",
        (lambda: says("bad", *SOURCES, "--max-length=64"),),
    ),
]

CASES = [*ADAPTERS, *EVALUATION, *TRAINING, *CLASSIFIERS, *LOADING, *COMMANDS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
