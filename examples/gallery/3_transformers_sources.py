"""
Value the sources of a language model
=====================================

A small language model was fine-tuned, by LoRA, on text of six sources. One of them is scrambled, and another one is
half a copy. What was each worth? (Needs the extra ``transformers``.)
"""

import matplotlib.pyplot as plt
from unshap_transformers import value_sources
from unshap_transformers.example import stdlib

# %%
# The example makes its model on the spot, smaller still than ``unshap text --example stdlib`` does: GPT-2 with two
# layers, for the source of Python's own library. Any ``PeftModel`` will do, with its tokenizer and its training text.

example = stdlib(rows=40, base_rows=400)
print(sorted({row["source"] for row in example.train_dataset}))

# %%
# One call, and no fine-tune but the one that is there: the others are *unlearned* from its adapter, and the base is
# shared by all coalitions. The utility is the mean log-likelihood of a token that was held out.

result = value_sources(example.model, **example.data())
result

# %%
# The scrambled source is last, and its value is negative: the model is better off without it.

fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
result.plot(ax, highlight=["scrambled"], label="bytes in random order")

# %%
# ``retrainings=20`` would also fine-tune on 20 coalitions, and return values of retraining: :doc:`/corrected`. All that
# there is for language models: :doc:`/language_models`.
