"""Real tokenizers of transformers, and real data sets: every form has the tokens of the plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("peft", reason="transformers of the right version is not installed")

import pandas as pd
from datasets import Dataset, IterableDataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging
from unshap_transformers import read_documents, tokenise
from unshap_transformers.tokens import IGNORED

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

SAID = ["the cat is in the hat", "then the other thing", "in the beginning\nthere was", "ünïcode — the thing"]
ROWS = [{"text": text, "source": source} for text, source in zip(SAID, "abab", strict=True)]
CHAT = (
    "{% for message in messages %}<{{ message.role }}>"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}</s>{% endgeneration %}"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
)


def made(**kwargs):
    """A tokenizer of byte pairs that was trained on the spot, and begins every text as that of Llama does."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(SAID * 3, trainer)
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", **kwargs)


TOKENIZER = made(pad_token="<pad>", model_max_length=8)


def same(one, other):
    assert one.input_ids.tolist() == other.input_ids.tolist()
    assert one.labels.tolist() == other.labels.tolist()
    assert list(one.document) == list(other.document)
    assert list(one.source) == list(other.source)


def formatted(kind):
    data = Dataset.from_list([{"input_ids": ids, **row} for ids, row in zip(encoded(), ROWS, strict=True)])
    return data.with_format(kind)


def encoded():
    return [[*ids, TOKENIZER.eos_token_id] for ids in TOKENIZER(SAID)["input_ids"]]


def collated(side):
    """Rows as a collator makes them, with the tokens of padding on one side."""
    tokenizer = made(pad_token="<pad>", padding_side=side)
    batch = tokenizer.pad({"input_ids": encoded()}, padding=True)
    return [
        {**row, "input_ids": ids, "attention_mask": mask}
        for row, ids, mask in zip(ROWS, batch["input_ids"], batch["attention_mask"], strict=True)
    ]


def parquet(folder):
    pd.DataFrame(ROWS).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def json_lines(folder):
    Dataset.from_list(ROWS).to_json(folder / "rows.jsonl")
    return folder / "rows.jsonl"


def table(folder):
    Dataset.from_list(ROWS).to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


FORMS = {
    "Dataset": lambda folder: Dataset.from_list(ROWS),
    "Dataset of tokens": lambda folder: formatted(None),
    "Dataset of arrays": lambda folder: formatted("numpy"),
    "Dataset of tensors": lambda folder: formatted("torch"),
    "padded on the right": lambda folder: collated("right"),
    "padded on the left": lambda folder: collated("left"),
    "frame": lambda folder: pd.DataFrame(ROWS),
    "Parquet": parquet,
    "JSON lines": json_lines,
    "CSV": table,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("max_length", [5, 64])
def test_every_form_has_the_tokens_of_the_plain_text(form, max_length, tmp_path):
    plain = tokenise(read_documents(ROWS, "source"), TOKENIZER, max_length)
    same(tokenise(read_documents(FORMS[form](tmp_path), "source"), TOKENIZER, max_length), plain)


@pytest.fixture
def said(caplog):
    """What transformers logs."""
    logging.enable_propagation()
    yield caplog
    logging.disable_propagation()


def test_long_documents_are_cut_without_a_word(said):
    tokenizer = made(model_max_length=4, chat_template=CHAT)  # texts are longer than models read, it says
    assert len(tokenise(read_documents(ROWS), tokenizer, 4)) > len(ROWS)
    assert len(tokenise(read_documents([{"messages": CONVERSATION}]), tokenizer, 4)) > 1
    assert said.records == []
    tokenizer(SAID)
    assert len(said.records) == 1


@given(st.text(alphabet="the cat isüö\n—", min_size=1, max_size=40), st.data())
def test_a_prompt_changes_no_token_and_what_holds_a_letter_of_the_completion_is_learned(text, data):
    cut = data.draw(st.integers(0, len(text) - 1))
    if not text[cut:].strip():
        return
    tokens = tokenise(read_documents([{"prompt": text[:cut], "completion": text[cut:]}]), TOKENIZER, 256)
    encoding = TOKENIZER(text, return_offsets_mapping=True)
    ids = [*encoding["input_ids"], TOKENIZER.eos_token_id]
    assert tokens.input_ids[0, : tokens.lengths[0]].tolist() == ids
    ends = [end for _, end in encoding["offset_mapping"]] + [len(text) + 1]
    learned = [one if end > cut else IGNORED for one, end in zip(ids, ends, strict=True)]
    assert tokens.labels[0, 1 : tokens.lengths[0]].tolist() == learned[1:]


CONVERSATION = [
    {"role": "user", "content": "the cat?"},
    {"role": "assistant", "content": "in the hat"},
    {"role": "user", "content": "then?"},
    {"role": "assistant", "content": "the thing"},
]


def test_of_a_conversation_the_assistant_is_learned():
    tokens = tokenise(read_documents(Dataset.from_list([{"messages": CONVERSATION}])), made(chat_template=CHAT), 256)
    plain = TOKENIZER(
        "<user>the cat?<assistant>in the hat</s><user>then?<assistant>the thing</s>", add_special_tokens=False
    )
    assert tokens.input_ids[0, : tokens.lengths[0]].tolist() == plain["input_ids"]
    learned = tokens.labels[0][tokens.labels[0] != IGNORED]
    assert TOKENIZER.decode(learned) == "in the hat</s>the thing</s>"
    assert tokens.notes == ()


def test_a_template_that_marks_nothing_learns_all_without_a_warning(said):
    template = CHAT.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    tokens = tokenise(read_documents([{"messages": CONVERSATION}]), made(chat_template=template), 256)
    marked = tokenise(read_documents([{"messages": CONVERSATION}]), made(chat_template=CHAT), 256)
    assert tokens.input_ids.tolist() == marked.input_ids.tolist()
    assert tokens.labels[0, : tokens.lengths[0]].tolist() == tokens.input_ids[0, : tokens.lengths[0]].tolist()
    assert "so whole conversations are learned" in tokens.notes[0]
    assert said.records == []


def test_what_a_template_refuses_is_told_in_its_words():
    strict = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InvalidValueError, match=r"^row 0 of train_dataset does not go .* \(roles must alternate\): "):
        tokenise(read_documents([{"messages": CONVERSATION}]), made(chat_template=strict), 256)


def test_several_splits_and_streams_are_refused():
    data = Dataset.from_list(ROWS)
    for refused in (
        data.train_test_split(0.5),
        data.to_iterable_dataset(),
        IterableDataset.from_generator(lambda: iter(ROWS)),
    ):
        with pytest.raises(InvalidTypeError, match="but a data set whose rows can be counted is needed"):
            read_documents(refused)


def test_a_folder_of_texts_is_a_data_set_too(tmp_path):
    for at, row in enumerate(ROWS):
        (tmp_path / row["source"]).mkdir(exist_ok=True)
        (tmp_path / row["source"] / f"{at}.txt").write_text(row["text"], encoding="utf-8")
    rows = sorted(ROWS, key=lambda row: row["source"])
    plain = tokenise(read_documents(rows, "source"), TOKENIZER, 8)
    same(tokenise(read_documents(tmp_path), TOKENIZER, 8), plain)


def test_something_that_is_no_parquet_file_is_refused(tmp_path):
    (tmp_path / "rows.parquet").write_text("text")
    with pytest.raises(InvalidValueError, match=r"rows\.parquet'\) is not a Parquet file \(.*\): write it again\.$"):
        read_documents(tmp_path / "rows.parquet")
