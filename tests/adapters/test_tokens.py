"""Rows of tokens: nothing is lost, nothing crosses documents, and padding is nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from letters import BOS, EOS, PAD, Letters
from unshap_transformers import check_length, check_sources, check_vocabulary, overlap, read_documents, tokenise
from unshap_transformers.tokens import IGNORED

WORDS = st.text(alphabet="the in\nx", max_size=40)
MARKED = "{% generation %}"


def tokens_of(rows, tokenizer=None, max_length=8, source=None, **kwargs):
    return tokenise(read_documents(rows, source, **kwargs), tokenizer or Letters(), max_length)


def joined(tokens, of):
    """The tokens and labels of a document, from all of its rows."""
    rows = [row for row in range(len(tokens)) if tokens.document[row] == of]
    ids = [one for row in rows for one in tokens.input_ids[row, : tokens.lengths[row]].tolist()]
    labels = [one for row in rows for one in tokens.labels[row, : tokens.lengths[row]].tolist()]
    return ids, labels


@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(2, 20), st.booleans(), st.sampled_from([None, EOS]))
def test_the_rows_of_a_document_give_it_back(texts, max_length, bos, eos):
    tokenizer = Letters(bos=bos, eos=eos)
    documents = read_documents([{"text": text, "source": f"{at}"} for at, text in enumerate([*texts, "xx"])], "source")
    tokens = tokenise(documents, tokenizer, max_length)
    assert list(tokens.document) == sorted(tokens.document)
    assert list(tokens.source) == [str(at) for at in tokens.document], "no row is of two sources"
    for at, text in enumerate([*texts, "xx"]):
        whole = [BOS] * bos + tokenizer.encode(text) + [EOS] * (eos is not None)
        whole = whole if text.strip() else []
        if len(whole) % max_length == 1:
            whole = whole[:-1]  # a row of one token predicts nothing
        assert joined(tokens, at) == (whole, whole)
        lengths = tokens.lengths[tokens.document == at]
        assert (lengths[:-1] == max_length).all(), "only the last row of a document is shorter"


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.integers(2, 20))
def test_rows_are_padded_on_the_right_to_a_multiple_of_eight(lengths, max_length):
    tokens = tokens_of([{"input_ids": list(range(10, 10 + length))} for length in lengths], max_length=max_length)
    longest, length = int(tokens.lengths.max()), tokens.input_ids.shape[1]
    assert longest <= length <= max_length
    assert length < longest + 8
    assert length % 8 == 0 or length == max_length
    padding = torch.arange(length) >= torch.as_tensor(tokens.lengths)[:, None]
    assert (tokens.input_ids[padding] == PAD).all()
    assert (tokens.labels[padding] == IGNORED).all()
    assert torch.equal(tokens.labels[~padding], tokens.input_ids[~padding])
    assert (tokens.input_ids.dtype, tokens.labels.dtype) == (torch.int64, torch.int64)


@given(st.text("thein x", min_size=2, max_size=20), st.data())
def test_a_prompt_changes_no_token_and_is_not_learned(text, data):
    cut = data.draw(st.integers(0, len(text) - 1))
    if not text[cut:].strip():
        return
    tokenizer = Letters(bos=True)
    row = {"prompt": text[:cut], "completion": text[cut:]}
    ids, labels = joined(tokens_of([row], tokenizer, 32), 0)
    assert ids == joined(tokens_of([{"text": text}], tokenizer, 32), 0)[0]
    # Slowly: a token is learned that ends after the prompt does.
    sizes = [2 if 4 <= one < 8 else 1 for one in ids[1:-1]]
    ends = [0, *itertools.accumulate(sizes), len(text) + 1]
    assert labels[1:] == [one if end > cut else IGNORED for one, end in zip(ids[1:], ends[1:], strict=True)]


def test_the_end_is_not_said_twice_and_needs_a_token_of_its_own():
    class Ending(Letters):
        def __call__(self, texts, **kwargs):
            return {"input_ids": [[*ids, EOS] for ids in super().__call__(texts, **kwargs)["input_ids"]]}

    assert joined(tokens_of([{"text": "ab"}], Ending()), 0)[0] == [107, 108, EOS]
    assert joined(tokens_of([{"text": "ab"}], Letters(eos=None)), 0)[0] == [107, 108]


IDS, TARGETS = [20, 21, 22, 23], [IGNORED, 21, 22, 23]


def padded(row, filling, left, right):
    return [filling] * left + row + [filling] * right


@given(st.integers(0, 5), st.integers(0, 5), st.booleans(), st.booleans(), st.sampled_from([PAD, EOS, None]))
def test_the_side_of_padding_changes_nothing(left, right, with_labels, with_mask, pad):
    tokenizer, filling = Letters(bos=True, pad=pad), 0 if pad is None else pad
    plain = {"input_ids": [BOS, *IDS, EOS]} | ({"labels": [IGNORED, *TARGETS, EOS]} if with_labels else {})
    row = {"input_ids": padded(plain["input_ids"], filling, left, right)}
    if with_labels:
        row["labels"] = padded(plain["labels"], IGNORED, left, right)
    if with_mask or pad is None:
        row["attention_mask"] = padded([1] * 6, 0, left, right)
    elif pad == EOS and not with_labels and left:
        return  # a run of ends at the beginning may itself begin a document
    assert joined(tokens_of([row], tokenizer, 32), 0) == joined(tokens_of([plain], tokenizer, 32), 0)


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        ([EOS, 20, 21, EOS], [EOS, 20, 21, EOS]),
        ([EOS, EOS, EOS, 20, 21], [EOS, 20, 21]),
        ([20, 21, EOS, EOS], [20, 21, EOS]),
        ([20, EOS, EOS, 21], [20, EOS, EOS, 21]),
    ],
)
def test_where_the_end_is_also_padding_one_of_a_run_stays(ids, kept):
    tokens = tokens_of([{"input_ids": ids}], Letters(pad=EOS))
    assert joined(tokens, 0) == (kept, kept)


def test_a_row_of_padding_alone_is_empty():
    rows = [{"input_ids": [PAD, PAD]}, {"input_ids": [EOS]}, {"input_ids": []}, {"input_ids": [20, 21]}]
    for pad in (PAD, EOS):
        tokens = tokens_of(rows, Letters(pad=pad))
        assert tokens.document[-1] == 3
    assert list(tokens_of(rows).document) == [3]


def test_rows_without_anything_to_predict_are_left_out():
    rows = [
        {"input_ids": list(range(10, 16)), "labels": [IGNORED] * 4 + [14, 15], "who": "a"},
        {"input_ids": [20, 21], "labels": [20, IGNORED], "who": "b"},  # the first is never predicted
        {"input_ids": [30, 31], "labels": [IGNORED, 31], "who": "a"},
        {"input_ids": [40], "labels": [40], "who": "c"},
    ]
    tokens = tokens_of(rows, max_length=4, source="who")
    assert tokens.input_ids.tolist() == [[14, 15, PAD, PAD], [30, 31, PAD, PAD]]
    assert list(tokens.document) == [0, 2]
    assert list(tokens.source) == ["a", "a"]
    assert tokens.notes == (
        "train_dataset: 2 of 4 documents are empty or have nothing to learn, and are left out (the first is number 1, "
        "counted from 0); nothing is left of 'b', 'c'",
    )
    kept = tokens_of([{"text": "", "who": "a"}, {"text": "ab", "who": "a"}], source="who", name="eval_dataset")
    assert kept.notes == (
        "eval_dataset: 1 of 2 documents are empty or have nothing to learn, and are left out (the first is number 0, "
        "counted from 0)",
    )
    assert tokens_of([{"text": "ab"}]).notes == ()


TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ab"}]


def test_of_a_conversation_is_learned_what_the_template_marks():
    for mark in (MARKED, "{%- generation -%}"):
        ids, labels = joined(tokens_of([{"messages": TURNS}], Letters(template=mark)), 0)
        assert ids == [BOS, 114, 115, EOS, BOS, 107, 108, EOS]
        assert labels == [IGNORED] * 5 + [107, 108, EOS]


@pytest.mark.parametrize(("template", "fast"), [("generation", True), (MARKED, False)], ids=["no mark", "no letters"])
def test_where_nothing_is_marked_all_is_learned_and_a_note_says_so(template, fast):
    tokenizer = Letters(template=template)
    tokenizer.is_fast = fast
    tokens = tokens_of([{"messages": TURNS}, {"messages": []}], tokenizer)
    assert joined(tokens, 0)[0] == joined(tokens, 0)[1] == [BOS, 114, 115, EOS, BOS, 107, 108, EOS]
    assert tokens.notes == (
        "train_dataset: the chat template does not tell what the assistant says ({% generation %}, with a fast "
        "tokenizer), so whole conversations are learned",
        "train_dataset: 1 of 2 documents are empty or have nothing to learn, and are left out (the first is number 1, "
        "counted from 0)",
    )


def test_the_longest_rows_that_the_model_reads_are_allowed():
    check_length(8, 8)
    check_length(10**6, None)
    tokens = tokens_of([{"input_ids": [0, 9], "labels": [IGNORED, 9]}])
    check_vocabulary(tokens, 10)
    check_sources(tokens_of([{"text": "ab", "who": who} for who in "ab"], source="who"))


@pytest.mark.parametrize(
    ("ids", "labels"), [([9, 10], [9, 9]), ([9, 9], [9, 10]), ([-1, 9], [9, 9]), ([9, 9], [9, -5])]
)
def test_what_the_model_does_not_know_is_seen(ids, labels):
    tokens = tokens_of([{"input_ids": ids, "labels": labels}], max_length=2)
    with pytest.raises(ValueError, match="but the model knows 0 to 9"):
        check_vocabulary(tokens, 10)


def test_documents_that_were_trained_on_are_counted():
    long = "xthinxthinxthinx"
    train = tokens_of([{"text": "ab"}, {"text": "cd"}, {"text": long}, {"text": "in the end"}])
    same = [{"text": "ab"}, {"text": long}, {"text": "ab"}, {"text": f"{long[:-1]}ab"}]
    other = [{"text": "abc"}, {"text": "a"}, {"text": "ccd"}, {"text": ""}]
    assert overlap(train, tokens_of([*same, *other], name="eval_dataset")) == (
        "eval_dataset: 4 of 7 documents (57%) stand in train_dataset too, which flatters the sources that have them",
    )
    assert overlap(train, tokens_of(other)) == ()
    narrow, wide = (tokens_of([{"text": "ab"}, {"text": text}], max_length=16, name="it") for text in ("cd", "c" * 12))
    assert (narrow.input_ids.shape[1], wide.input_ids.shape[1]) == (8, 16)
    assert overlap(narrow, wide)[0].startswith("it: 1 of 2 "), "padding makes no difference"


def test_a_document_counts_once_and_by_its_beginning():
    train = tokens_of([{"input_ids": [5, 6]}], max_length=2)
    test = tokens_of([{"input_ids": [7, 8, 5, 6]}, {"input_ids": [5, 6, 7, 8, 5, 6]}], max_length=2, name="eval")
    assert overlap(train, test)[0].startswith("eval: 1 of 2 documents (50%)")


def test_the_given_documents_stay_as_they_are():
    ids = np.arange(10, 20)
    before = ids.copy()
    tokens = tokens_of([{"input_ids": ids}], max_length=4)
    tokens.input_ids.zero_()
    np.testing.assert_array_equal(ids, before)
