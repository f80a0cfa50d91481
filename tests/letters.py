"""A tokenizer of letters and pairs of letters with the interface that is used of those of transformers."""

from __future__ import annotations

import re

BOS, EOS, PAD = 1, 2, 3
#: Pairs that are one token, so that the tokens of a text are not those of its parts.
PAIRS = ("th", "he", "in", "  ")


class Letters:
    """Ids: 1 to 3 are special, those of letters are 10 and more, those of pairs 4 to 7."""

    is_fast = True

    def __init__(self, bos=False, eos=EOS, pad=PAD, template=None, padding_side="right"):
        self.padding_side = padding_side
        self.bos_token_id, self.eos_token_id, self.pad_token_id = BOS if bos else None, eos, pad
        self.chat_template = template

    def encode(self, text):
        found = re.findall("|".join(PAIRS) + r"|[\s\S]", text)
        return [4 + PAIRS.index(one) if one in PAIRS else 10 + ord(one) for one in found]

    def __call__(self, texts, pairs=None, *, return_attention_mask, verbose, truncation=False, max_length=None):
        start = [] if self.bos_token_id is None else [self.bos_token_id]
        whole = [start + self.encode(text) for text in texts]
        if pairs is not None:
            whole = [one + self.encode(other) for one, other in zip(whole, pairs, strict=True)]
        return {"input_ids": [one[:max_length] if truncation else one for one in whole]}

    def get_chat_template(self):
        if self.chat_template is None:
            raise ValueError("there is none")
        return self.chat_template

    def apply_chat_template(self, turns, return_dict, return_assistant_tokens_mask, tokenizer_kwargs):
        ids, mask = [], []
        for turn in turns:
            if turn["role"] == "nobody":
                raise ValueError("nobody is no role")
            said = self.encode(turn["content"])
            ids += [BOS, *said, EOS]
            mask += [0, *[int(turn["role"] == "assistant")] * (len(said) + 1)]
        return {"input_ids": ids} | ({"assistant_masks": mask} if return_assistant_tokens_mask else {})
