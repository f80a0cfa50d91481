"""Values of the sources of small language models that are made on the spot."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("peft", reason="language models are an extra")

from transformers import TrainingArguments
from unshap_transformers import source_game, source_problem, value_sources
from unshap_transformers.adapters import initial_state, trained_parameters
from unshap_transformers.example import stdlib
from unshap_transformers.model import CausalLM
from unshap_transformers.training import recipe_of

from unshap_plugin import Recipe, UnlearningGame, audit
from unshap_plugin.errors import AccessError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.model.swapped import SwappedModule

SOME = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 0, 0, 1, 0], [1, 1, 1, 0, 1, 1]], dtype=bool)


@pytest.fixture(scope="module")
def example():
    return stdlib(rows=15, base_rows=32)


@pytest.fixture(scope="module")
def problem(example):
    return without_reference(example)


def made(example, **changed):
    data = {**example.data(), **changed}
    return source_problem(data.pop("model", example.model), **data)


def without_reference(example, **changed):
    return made(example, reference_dataset=None, **changed)


def small(example):
    """The same model and the first rows of each source, for what retrains often."""
    kept = [row for at, row in enumerate(example.train_dataset) if at % 3 == 0]
    return without_reference(example, train_dataset=kept, args=replace(example.args, epochs=1))


def valued(example, **changed):
    """Of two sources, which have four coalitions."""
    rows = [{**row, "source": "bad" if row["source"] == "scrambled" else "good"} for row in example.train_dataset]
    return value_sources(example.model, **example.data() | {"train_dataset": rows, "reference_dataset": None} | changed)


def test_the_given_model_answers_and_is_left_alone(example, problem):
    state = copy.deepcopy(example.model.state_dict())
    values = valued(example)
    assert list(values.players) == ["bad", "good"]
    assert values.unlearner == "finetune"
    assert "learning rate of args" in values.reasons["unlearner"]
    assert np.isclose(values.values.sum(), values.utility_all - values.utility_none)
    assert values.utility_all == problem.given_utility
    assert all(torch.equal(p, state[name]) for name, p in example.model.state_dict().items())


def test_a_few_retrainings_correct_the_values(example):
    """Of all four coalitions, which leaves nothing open: the values are those of retraining, to the last digit."""
    result = valued(example, retrainings=4)
    retrained = valued(example, unlearner="retrain", seed=1)
    np.testing.assert_allclose(result.values, retrained.values, atol=1e-9)
    assert (result.unlearner, result.estimator, result.retrainings) == ("retrain", "corrected", 4)
    np.testing.assert_allclose(result.unlearned["finetune"][0], valued(example).values, atol=1e-9)
    assert np.abs(result.values - result.unlearned["finetune"][0]).max() > 1e-3, "else nothing would be corrected"


def test_the_utility_is_the_log_likelihood_of_a_token(example, problem):
    ids = torch.tensor([row["input_ids"] for row in example.eval_dataset])
    with torch.no_grad():
        expected = -example.model(input_ids=ids, labels=ids).loss
    assert float(problem.given_utility) == pytest.approx(float(expected), abs=1e-5)


def test_an_empty_coalition_is_the_base_model(example, problem):
    ids = torch.tensor([row["input_ids"] for row in example.eval_dataset])
    with torch.no_grad(), example.model.disable_adapter():
        expected = -example.model(input_ids=ids, labels=ids).loss
    for game in (source_game(problem), UnlearningGame(problem, "retrain")):
        assert float(game(np.zeros((1, 6), dtype=bool))[0]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("name", ["retrain", "finetune"])
def test_many_coalitions_at_once_have_the_utilities_of_each(example, name):
    problem = without_reference(example)
    settings = {"steps": 3, "batch_size": 8} if name == "finetune" else {}
    together = UnlearningGame(problem, name, chunk=3, **settings)(SOME)
    alone = UnlearningGame(problem, name, chunk=1, **settings)(SOME)
    assert together.tolist() == alone.tolist(), "not a bit depends on the others"
    assert isinstance(problem.engine._folded, SwappedModule)
    loop = without_reference(example)
    loop.engine.batched = False
    np.testing.assert_allclose(UnlearningGame(loop, name, **settings)(SOME), together, atol=1e-4)


def test_everybody_retrained_is_the_given_model(example):
    """The example is trained by the recipe that it says, with its seed."""
    problem = without_reference(example)
    game = UnlearningGame(problem, "retrain", seed=0)
    everybody = torch.ones(1, len(problem.y), dtype=torch.bool)
    recipe = problem.recipe
    start = CausalLM(example.model, 64)
    start.load_state_dict(recipe.initial_state(start, 0))
    again = recipe.train(start, problem.loss, problem.x, problem.y, rows=everybody[0], seed=0)
    for name, p in again.named_parameters():
        torch.testing.assert_close(p.detach(), problem.engine.state[name], atol=2e-4, rtol=1e-3)
    assert game.n_players == 6


def test_what_is_frozen_is_shared(example, problem):
    given = dict(example.model.named_parameters())
    for name, p in problem.engine.module.named_parameters():
        shared = p.data_ptr() == given[name.removeprefix("model.")].data_ptr()
        assert shared != p.requires_grad
        assert p.requires_grad == ("lora_" in name)


def test_an_adapter_that_was_loaded_for_inference_is_trained_here(example):
    model = copy.deepcopy(example.model).requires_grad_(False)
    trained = trained_parameters(model)
    assert trained
    assert all("lora_" in name for name in trained)
    assert made(example, model=model, reference_dataset=None).engine.n_parameters == sum(
        p.numel() for p in trained.values()
    )
    assert not any(p.requires_grad for p in model.parameters())


def test_the_start_of_lora_is_the_base_or_what_is_given(example, tmp_path):
    base = initial_state(example.model, None)
    assert all(bool((p == 0).all()) == ("lora_B" in name) for name, p in base.items())
    example.model.save_pretrained(tmp_path)
    other = copy.deepcopy(example.model)
    for p in other.parameters():
        p.data *= 0.5
    from_model = initial_state(example.model, other)
    other.save_pretrained(tmp_path)
    for found in (initial_state(example.model, tmp_path), initial_state(example.model, other.state_dict())):
        assert found.keys() == from_model.keys() == base.keys()
        assert all(torch.equal(p, found[name]) for name, p in from_model.items())


def test_several_evaluation_sets_have_a_column_each(example):
    half = len(example.eval_dataset) // 2
    sets = {"one": example.eval_dataset[:half], "two": example.eval_dataset[half:]}
    problem = without_reference(example, eval_dataset=sets)
    assert problem.metric.parts == ("one", "two")
    each = [float(without_reference(example, eval_dataset=one).given_utility) for one in sets.values()]
    np.testing.assert_allclose(problem.given_utility, each, atol=1e-6)
    assert valued(example, eval_dataset=sets).values.shape == (2, 2)
    single = without_reference(example, eval_dataset={"one": sets["one"]})
    np.testing.assert_allclose(single.given_utility, each[:1], atol=1e-6)


def test_partial_access_takes_half_of_the_evaluation_for_reference(example):
    problem = without_reference(example, access="partial")
    rows = len(example.eval_dataset)
    assert len(problem.y_test) == (rows + 1) // 2
    assert len(problem.reference[1]) <= rows // 2
    assert "every second document" in problem.notes[-1]
    assert valued(example, access="partial").unlearner == "npo"


def test_questions_are_answered_by_likelihood(example):
    rows = [row["input_ids"] for row in example.eval_dataset]

    class Bytes:
        is_fast, bos_token_id, eos_token_id, pad_token_id = True, None, 0, 0

        def __call__(self, texts, return_attention_mask, verbose):
            return {"input_ids": [list(text.encode()) for text in texts]}

    questions = [
        {"prompt": "import ", "choices": ["os", "zqxj"], "answer": 0},
        {"prompt": "def f(self", "choices": ["):", "\x07\x07\x07"], "answer": "):"},
    ]
    problem = without_reference(example, eval_dataset=questions, metric="choice_accuracy", processing_class=Bytes())
    expected = []
    for one in questions:
        gap = "" if one["prompt"].endswith(" ") else " "
        likely = []
        for choice in one["choices"]:
            start, whole = len(one["prompt"]), (one["prompt"] + gap + choice).encode()
            with torch.no_grad():
                scores = example.model(input_ids=torch.tensor([list(whole)])).logits.log_softmax(-1)[0]
            likely.append(float(sum(scores[at - 1, whole[at]] for at in range(start, len(whole)))))
        expected.append(likely[0] >= max(likely))
    assert rows
    assert float(problem.given_utility) == np.mean(expected)


def test_gradient_checkpointing_is_turned_off(example):
    """It would train nothing: neither inputs nor parameters of the base need gradients."""
    model = copy.deepcopy(example.model)
    for layer in model.modules():
        if hasattr(layer, "gradient_checkpointing"):
            layer.gradient_checkpointing = True
    problem, plain = without_reference(example, model=model), without_reference(example)
    weights = torch.ones(1, len(plain.y)) / len(plain.y)
    for name, gradient in problem.engine.gradients(problem.engine.stack(1), weights, plain.x, plain.y).items():
        assert gradient.abs().max() > 0
        assert torch.equal(gradient, plain.engine.gradients(plain.engine.stack(1), weights, plain.x, plain.y)[name])
    assert UnlearningGame(problem, "retrain")(SOME[:1]) == UnlearningGame(plain, "retrain")(SOME[:1])


def test_training_arguments_are_a_recipe():
    args = TrainingArguments(
        "unused",
        learning_rate=3e-4,
        num_train_epochs=2,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.01,
        use_cpu=True,
    )
    recipe = recipe_of(args, None)
    assert (recipe.optimizer, recipe.lr, recipe.epochs, recipe.batch_size) == ("adamw", 3e-4, 2, 8)
    assert (recipe.schedule, recipe.warmup, recipe.clip) == ("cosine", 0.1, 1.0)
    assert recipe.options["weight_decay"] == 0.01
    assert recipe_of(Recipe(lr=0.5), {}).lr == 0.5


def test_a_store_knows_the_game_again(example, tmp_path):
    for evaluations in (2, 2):
        game = source_game(without_reference(example), store=tmp_path / "values.db")
        game(SOME[:1])
        assert game.evaluations == evaluations


def test_games_of_sources_are_audited_as_any_other(example):
    game = UnlearningGame(small(example), "finetune", steps=2, lr=0.01, batch_size=8)
    report = audit(game, coalitions=12)
    assert "retrain" in report.verdict


ADVISED = {
    "no module": (lambda e: made(e, model=3), InvalidTypeError, "model is a int, but a causal language model"),
    "no such metric": (lambda e: made(e, metric="bleu"), UnknownNameError, "bleu"),
    "too long": (lambda e: made(e, max_length=65), InvalidValueError, "the model reads at most 64 tokens"),
    "one source": (lambda e: made(e, train_dataset=e.train_dataset[:3]), InvalidValueError, "of the source 'json'"),
    "no such column": (lambda e: made(e, source_column="sources"), InvalidValueError, "did you mean 'source'"),
    "another tokenizer": (
        lambda e: made(e, eval_dataset=[{"input_ids": [1, 256]}]),
        InvalidValueError,
        "the model knows 0 to 255",
    ),
    "no sets": (lambda e: made(e, eval_dataset={}), InvalidValueError, "eval_dataset is an empty dict"),
    "a start of another shape": (
        lambda e: made(e, initial_adapter={name: p[:1] for name, p in e.initial_adapter.items()}),
        InvalidValueError,
        "it is of another base or has other settings",
    ),
    "the end for the start": (
        lambda e: made(e, initial_adapter=e.model),
        InvalidValueError,
        "is the trained adapter itself",
    ),
    "no start": (lambda e: made(e, initial_adapter=3), InvalidTypeError, "initial_adapter is a int"),
    "no folder": (lambda e: made(e, initial_adapter="nowhere"), InvalidValueError, "no adapter_model.safetensors"),
    "an adapter that learned nothing": (
        lambda e: made(e, model=untrained(e), initial_adapter=None),
        InvalidValueError,
        "enable_input_require_grads",
    ),
    "no adapter": (
        lambda e: made(e, model=e.model.get_base_model().requires_grad_(False), initial_adapter=None),
        InvalidValueError,
        "needs gradients",
    ),
    "quantised": (
        lambda e: made(e, model=quantised(e)),
        InvalidValueError,
        "the base model is quantised (bitsandbytes)",
    ),
    "no recipe": (
        lambda e: UnlearningGame(made(e, args=None, reference_dataset=None), "retrain"),
        AccessError,
        "needs to know how",
    ),
    "no recipe to correct by": (
        lambda e: valued(e, args=None, retrainings=4),
        AccessError,
        "needs to know how the torch model was trained: pass fit=Recipe(...) to the problem",
    ),
    "an estimator beside retrainings": (
        lambda e: valued(e, estimator="exact", retrainings=4),
        InvalidValueError,
        "leave it out, or leave out retrainings",
    ),
    "steps": (
        lambda e: made(e, args=TrainingArguments("unused", max_steps=5, use_cpu=True)),
        InvalidValueError,
        "args.max_steps is 5",
    ),
    "an optimiser": (
        lambda e: made(e, args=TrainingArguments("unused", optim="adafactor", use_cpu=True)),
        InvalidValueError,
        "args.optim is 'adafactor'",
    ),
    "no questions": (
        lambda e: made(e, metric="choice_accuracy"),
        InvalidValueError,
        "has no column 'prompt'",
    ),
    "no choices": (
        lambda e: made(e, metric="choice_accuracy", eval_dataset=[{"prompt": "a", "choices": ["b"], "answer": 0}]),
        InvalidValueError,
        "a list of two texts or more",
    ),
    "no answer": (
        lambda e: made(e, metric="choice_accuracy", eval_dataset=[{"prompt": "a", "choices": ["b", "c"], "answer": 2}]),
        InvalidValueError,
        "none of its 2 choices",
    ),
    "one document to split": (
        lambda e: made(e, access="partial", reference_dataset=None, eval_dataset=e.eval_dataset[:1]),
        InvalidValueError,
        "there is a single document",
    ),
}


def untrained(example):
    model = copy.deepcopy(example.model)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.zero_()
    return model


def quantised(example):
    model = copy.deepcopy(example.model)
    model.config.quantization_config = {"quant_method": "bitsandbytes"}
    return model


@pytest.mark.parametrize("name", ADVISED)
def test_what_cannot_be_used_is_told_in_one_sentence(example, name):
    fails, kind, says = ADVISED[name]
    with pytest.raises(kind) as caught:
        fails(copy.deepcopy(example))
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
