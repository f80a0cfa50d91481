"""Values of the rows and sources of small text classifiers that are made on the spot."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

pytest.importorskip("peft", reason="language models are an extra")

from reviews import KINDS, LENGTH, NAMES, learned, reviews, scores, untrained, with_adapter, word_tokenizer
from unshap_transformers import source_game, source_problem, value_sources

from unshap_plugin import Recipe, UnlearningGame
from unshap_plugin.model.swapped import SwappedModule

SOME = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]], dtype=bool)
ARGS = Recipe("adamw", lr=1e-2, epochs=1, batch_size=8, options={"weight_decay": 0.0})
ROWS, HELD_OUT = reviews(24), reviews(20, seed=1)
FINETUNE = {"steps": 2, "lr": 1e-2, "batch_size": 8}


@pytest.fixture(scope="module")
def models():
    """Of each kind one with an adapter that was trained a little, and its tokenizer."""
    made = {}
    for kind in KINDS:
        tokenizer = word_tokenizer(kind)
        made[kind] = learned(with_adapter(untrained(kind), kind), tokenizer, ROWS, epochs=1), tokenizer
    return made


def problem_of(models, kind, **changed):
    model, tokenizer = models[kind]
    data = {"train_dataset": ROWS, "source_column": "shop", "label_column": "label", "eval_dataset": HELD_OUT}
    data |= {"args": ARGS, "processing_class": tokenizer}
    return source_problem(changed.pop("model", model), **data | changed)


def numbers(rows):
    return torch.tensor([list(NAMES.values()).index(row["label"]) for row in rows])


def likelihood(model, tokenizer, rows=HELD_OUT):
    return float(scores(model, tokenizer, rows).log_softmax(-1)[range(len(rows)), numbers(rows)].mean())


@pytest.mark.parametrize("kind", KINDS)
def test_utilities_are_those_of_rows_that_are_read_alone(models, kind):
    """Which padding, masks and the last token could spoil."""
    model, tokenizer = models[kind]
    problem = problem_of(models, kind)
    assert float(problem.given_utility) == pytest.approx(likelihood(model, tokenizer), abs=1e-5)
    right = scores(model, tokenizer, HELD_OUT).argmax(dim=1) == numbers(HELD_OUT)
    assert float(problem_of(models, kind, metric="accuracy").given_utility) == pytest.approx(
        float(right.float().mean())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_the_base_with_the_head_that_training_started_from(models, kind):
    model, tokenizer = models[kind]
    with model.disable_adapter():
        expected = likelihood(model, tokenizer)
    problem = problem_of(models, kind)
    for game in (source_game(problem), UnlearningGame(problem, "retrain")):
        assert float(game(np.zeros((1, 3), dtype=bool))[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["retrain", "finetune"])
def test_many_coalitions_at_once_have_the_utilities_of_each(models, kind, name):
    problem, loop = problem_of(models, kind), problem_of(models, kind)
    settings = FINETUNE if name == "finetune" else {}
    together = UnlearningGame(problem, name, chunk=3, **settings)(SOME)
    assert isinstance(problem.engine._folded, SwappedModule)
    assert together.tolist() == UnlearningGame(problem, name, chunk=1, **settings)(SOME).tolist()
    loop.engine.batched = False
    np.testing.assert_allclose(UnlearningGame(loop, name, **settings)(SOME), together, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_retraining_is_what_a_trainer_does_with_the_rows_that_are_kept(models, kind):
    model, tokenizer = models[kind]
    kept = [row["shop"] != "bolt" for row in ROWS]
    expected = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in expected.named_parameters():
            if "lora_B" in name:
                p.zero_()
            if "modules_to_save" in name:
                p.copy_(expected.get_parameter(name.replace("modules_to_save.default", "original_module")))
    optimizer = torch.optim.AdamW([p for p in expected.parameters() if p.requires_grad], lr=ARGS.lr, weight_decay=0.0)
    for order in ARGS.orders(len(ROWS), seed=0):
        for batch in split(order, kept):
            rows = [ROWS[at] for at in batch]
            inputs = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
            optimizer.zero_grad()
            expected(**inputs, labels=numbers(rows)).loss.backward()
            optimizer.step()
    game = UnlearningGame(problem_of(models, kind), "retrain", seed=0)
    assert float(game(np.array([[True, False, True]]))[0]) == pytest.approx(likelihood(expected, tokenizer), abs=1e-4)


def split(order, kept, size=8):
    own = [int(at) for at in order if kept[at]]
    return [own[start : start + size] for start in range(0, len(own), size)]


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_model_that_was_trained_whole_is_valued_one_by_one(kind):
    tokenizer, start = word_tokenizer(kind), untrained(kind)
    models = {kind: (learned(copy.deepcopy(start), tokenizer, ROWS, epochs=1), tokenizer)}
    problem = problem_of(models, kind, initial_adapter=start)
    assert problem.engine.n_parameters == sum(p.numel() for p in start.parameters())
    with pytest.warns(UserWarning, match="TextClassifier cannot be batched"):
        found = UnlearningGame(problem, "finetune", **FINETUNE)(SOME)
    loop = problem_of(models, kind, initial_adapter=start)
    loop.engine.batched = False
    np.testing.assert_allclose(UnlearningGame(loop, "finetune", **FINETUNE)(SOME), found, atol=1e-4)
    nobody = UnlearningGame(loop, "retrain")(np.zeros((1, 3), dtype=bool))
    assert float(nobody[0]) == pytest.approx(likelihood(start, tokenizer), abs=1e-5)


def test_every_row_is_a_player_where_there_is_no_source(models):
    model, tokenizer = models["bert"]
    result = value_sources(
        model,
        processing_class=tokenizer,
        train_dataset=ROWS[:10],
        label_column="label",
        eval_dataset=HELD_OUT,
        args=ARGS,
        budget=22,
    )
    assert list(result.players) == list(range(10))
    assert result.metric == "log_likelihood"
    assert np.isclose(result.values.sum(), result.utility_all - result.utility_none)
    assert float(result.utility_all) == float(problem_of(models, "bert").given_utility)


def test_the_model_is_left_alone_and_shared(models):
    model, _ = models["llama"]
    state, given = copy.deepcopy(model.state_dict()), dict(model.named_parameters())
    problem = problem_of(models, "llama")
    source_game(problem)(SOME[:1])
    assert all(torch.equal(p, state[name]) for name, p in model.state_dict().items())
    for name, p in problem.engine.module.named_parameters():
        assert (p.data_ptr() == given[name.removeprefix("model.")].data_ptr()) != p.requires_grad
        assert p.requires_grad == ("lora_" in name or "modules_to_save" in name)


@pytest.mark.parametrize("metric", ["log_likelihood", "accuracy"])
def test_several_evaluation_sets_have_a_column_each(models, metric):
    sets = {"one": HELD_OUT[:7], "two": HELD_OUT[7:]}
    problem = problem_of(models, "gpt2", eval_dataset=sets, metric=metric)
    assert (problem.metric.name, problem.metric.parts) == (metric, ("one", "two"))
    each = [float(problem_of(models, "gpt2", eval_dataset=one, metric=metric).given_utility) for one in sets.values()]
    np.testing.assert_allclose(problem.given_utility, each, atol=1e-6)
    single = problem_of(models, "gpt2", eval_dataset={"one": HELD_OUT[:7]}, metric=metric)
    np.testing.assert_allclose(single.given_utility, each[:1], atol=1e-6)


def test_partial_access_takes_every_second_row_for_reference(models):
    model, tokenizer = models["llama"]
    sets = {"one": HELD_OUT[:7], "two": HELD_OUT[7:]}
    problem = problem_of(models, "llama", access="partial", eval_dataset=sets)
    tested = [HELD_OUT[:7][::2], HELD_OUT[7:][::2]]
    np.testing.assert_allclose(problem.given_utility, [likelihood(model, tokenizer, one) for one in tested], atol=1e-5)
    assert problem.reference[1].tolist() == numbers(HELD_OUT[:7][1::2] + HELD_OUT[7:][1::2]).tolist()
    assert "9 in all, is taken for it, and the other 11 rows are evaluated" in problem.notes[-1]
    assert source_game(problem).unlearner.name == "npo"
    given = problem_of(models, "llama", access="partial", reference_dataset=reviews(8, seed=2))
    assert (len(given.y_test), len(given.reference[1])) == (20, 8)


def test_pairs_are_read_as_the_tokenizer_joins_them(models):
    model, tokenizer = models["bert"]
    rows = [{**row, "text_pair": other["text"]} for row, other in zip(HELD_OUT, ROWS[:20], strict=True)]
    problem = problem_of(models, "bert", eval_dataset=[{**row, "text": row["text"][:20]} for row in rows])
    total = 0.0
    for row in rows:
        ids = tokenizer(row["text"][:20], row["text_pair"], return_tensors="pt")
        with torch.no_grad():
            total += float(model(**ids).logits.log_softmax(-1)[0, numbers([row])[0]])
    assert problem.x_test["token_type_ids"].any()
    assert not problem.x["token_type_ids"].any()
    assert float(problem.given_utility) == pytest.approx(total / len(rows), abs=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_tokens_that_were_made_already_are_the_same_rows(models, kind):
    _, tokenizer = models[kind]
    expected = problem_of(models, kind)
    for side in ("left", "right"):
        tokenizer = word_tokenizer(kind, padding_side=side)
        padded = tokenizer([row["text"] for row in ROWS], padding="max_length", max_length=LENGTH)
        made = [
            {"input_ids": ids, "attention_mask": mask, "label": row["label"], "shop": row["shop"]}
            for ids, mask, row in zip(padded["input_ids"], padded["attention_mask"], ROWS, strict=True)
        ]
        for columns in (made, [{name: row[name] for name in ("input_ids", "label", "shop")} for row in made]):
            found = problem_of(models, kind, train_dataset=columns)
            assert all(torch.equal(found.x[name], expected.x[name]) for name in ("input_ids", "attention_mask"))


def test_long_texts_are_cut_as_in_training(models):
    _, tokenizer = models["bert"]
    long = [{**row, "text": " ".join([row["text"]] * 8)} for row in HELD_OUT[:4]]
    problem = problem_of(models, "bert", eval_dataset=[*long, *HELD_OUT[4:]])
    assert f"eval_dataset: 4 of 20 rows are longer than {LENGTH} tokens, and are cut" in problem.notes
    ids = tokenizer(long[0]["text"], truncation=True)["input_ids"]
    assert problem.x_test["input_ids"][0].tolist() == ids
    assert ids[-1] == tokenizer.convert_tokens_to_ids("[SEP]")
    shorter = problem_of(models, "bert", max_length=8)
    assert shorter.x["input_ids"].shape == (24, 8)


def test_a_tokenizer_that_pads_on_the_left_is_noted(models):
    right, left = (
        problem_of(models, "gpt2", processing_class=word_tokenizer("gpt2", padding_side=side))
        for side in ("right", "left")
    )
    assert right.notes == ()
    assert sum("pads on the left" in note for note in left.notes) == 2
    assert left.given_utility == right.given_utility


def test_rows_of_the_evaluation_that_were_trained_on_are_noted(models):
    problem = problem_of(models, "gpt2", eval_dataset={"one": [*HELD_OUT[:8], *ROWS[:2]], "two": HELD_OUT[8:]})
    assert problem.notes == (
        "eval_dataset['one']: 2 of 10 documents (20%) stand in train_dataset too, which flatters the sources that "
        "have them",
    )
