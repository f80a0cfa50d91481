"""What a problem of a language model is made of."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.errors import UnknownNameError
from unshap_transformers.checks import check_sources, check_vocabulary, overlap
from unshap_transformers.documents import read_documents
from unshap_transformers.evaluation import EvaluationSet, evaluation_sets, halves
from unshap_transformers.metrics import METRICS, token_metric
from unshap_transformers.model import CausalLM, TokenLoss
from unshap_transformers.parts import Asked, Pair, Parts
from unshap_transformers.tokens import IGNORED, Tokens, tokenise

__all__ = ["language"]


def language(model: nn.Module, asked: Asked) -> Parts:
    """Return what the problem of a language model is made of; see ``source_problem``.

    Parameters
    ----------
    model
        A causal language model of transformers, or of PEFT around one.
    asked
        The rest.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If something cannot be used.
    """
    if asked.metric not in METRICS:
        raise UnknownNameError("metric", asked.metric, METRICS)
    how = asked.processing_class, asked.max_length
    train = tokenise(read_documents(asked.train_dataset, asked.source_column), *how)
    check_sources(train)
    sets = evaluation_sets(asked.eval_dataset, *how, choices=asked.metric == "choice_accuracy")
    reference = None
    if asked.reference_dataset is not None:
        reference = tokenise(read_documents(asked.reference_dataset, name="reference_dataset"), *how)
    evaluated = [one.tokens for one in sets.values()]
    everything = [train, *evaluated, *([] if reference is None else [reference])]
    for tokens in everything:
        check_vocabulary(tokens, model.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    length = max(tokens.input_ids.shape[1] for tokens in everything)
    test, others, notes = _test(sets, length, split=asked.split and reference is None)
    if reference is not None:
        others = _rows(reference, length), torch.zeros(len(reference), 3, dtype=torch.long)
    learned = (train.labels[:, 1:] != IGNORED).sum(dim=1)
    said = [note for tokens in everything for note in tokens.notes]
    said += [note for tokens in evaluated for note in overlap(train, tokens)]
    return Parts(
        CausalLM(model, length, **asked.computing),
        (_rows(train, length), torch.zeros(len(train), 3, dtype=torch.long)),
        test,
        others,
        TokenLoss(float(learned.double().mean())),
        token_metric(asked.metric, None if None in sets else [str(name) for name in sets]),
        train.source,
        [*said, *notes],
    )


def _rows(tokens: Tokens, length: int) -> dict[str, Tensor]:
    """Return rows as the module takes them, filled up to one length."""
    missing = length - tokens.input_ids.shape[1]
    return {
        "input_ids": F.pad(tokens.input_ids, (0, missing), value=int(tokens.input_ids[0, 0])),
        "labels": F.pad(tokens.labels, (0, missing), value=IGNORED),
    }


def _test(sets: dict[str | None, EvaluationSet], length: int, *, split: bool) -> tuple[Pair, Pair | None, list[str]]:
    """Return the test rows, those of the reference set where it is split off, and what was done."""
    rows = [_rows(one.tokens, length) for one in sets.values()]
    x = {name: torch.cat([part[name] for part in rows]) for name in rows[0]}
    y = torch.cat([one.targets(number) for number, one in enumerate(sets.values())])
    if not split:
        return (x, y), None, []
    tested, others = (torch.from_numpy(np.concatenate(part)) for part in zip(*map(halves, sets.values()), strict=True))
    note = (
        f"there is no reference_dataset: every second document or question of eval_dataset, {int(others.sum())} rows "
        f"in all, is taken for it, and the other {int(tested.sum())} rows are evaluated"
    )
    reference = {name: part[others] for name, part in x.items()}, torch.zeros_like(y[others])
    return ({name: part[tested] for name, part in x.items()}, y[tested]), reference, [note]
