"""Data sets and loaders of torch."""

# ruff: noqa: E501
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tables import GROUPS, XT, YT, X, Y
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from unshap_plugin import Recipe, ValuationProblem, value
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.problem.loaders import as_pair

PAIR, TEST = (
    TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)),
    TensorDataset(torch.as_tensor(XT), torch.as_tensor(YT)),
)


class Rows(Dataset):
    """Rows by number."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


class Stream(IterableDataset):
    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        return iter(self.pairs)


ARRAYS = [(x, int(y)) for x, y in zip(X, Y, strict=True)]
SOURCES = {
    "tensors": lambda: PAIR,
    "subset": lambda: Subset(PAIR, range(30)),
    "arrays": lambda: Rows(ARRAYS),
    "lists": lambda: Rows([(x.tolist(), y) for x, y in ARRAYS]),
    "stream": lambda: Stream(ARRAYS),
    "loader": lambda: DataLoader(PAIR, batch_size=7),
    "loader of single rows": lambda: DataLoader(Rows(ARRAYS), batch_size=None),
    "loader of a stream": lambda: DataLoader(Stream(ARRAYS), batch_size=4),
    "loader of arrays": lambda: DataLoader(Rows(ARRAYS), batch_size=8),
    "loader that collates itself": lambda: DataLoader(Rows(ARRAYS), batch_size=8, collate_fn=lambda rows: (np.stack([x for x, _ in rows]), [y for _, y in rows])),
}  # fmt: skip


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_rows_are_read_once_and_in_order(make):
    state = torch.get_rng_state()
    x, y = as_pair(make(), "train")
    np.testing.assert_array_equal(np.asarray(x), X)
    np.testing.assert_array_equal(np.asarray(y), Y)
    assert torch.equal(torch.get_rng_state(), state), "a loader draws from the global generator"


@pytest.mark.parametrize("make", [SOURCES["loader"], SOURCES["arrays"], SOURCES["stream"]])
def test_values_are_those_of_the_arrays(make):
    model = LogisticRegression().fit(X, Y)
    truth = value(model, (X, Y), (XT, YT), groups=GROUPS, estimator="exact").values
    found = value(model, make(), DataLoader(TEST, batch_size=16), groups=GROUPS, estimator="exact").values
    np.testing.assert_array_equal(found, truth)


def test_a_network_and_a_reference_set_take_them():
    torch.manual_seed(0)
    model = nn.Linear(4, 2).double()
    extra = torch.randn(10, 4, dtype=torch.float64)
    problem = ValuationProblem(
        model,
        DataLoader(PAIR, batch_size=4),
        TEST,
        fit=Recipe(),
        reference=TensorDataset(extra, torch.zeros(10).long()),
    )
    assert torch.equal(problem.reference[0], extra)
    assert torch.equal(problem.x, PAIR.tensors[0])


def test_rows_of_several_parts_and_of_text():
    several = DataLoader(Rows([({"a": x[:2], "b": x[2:]}, y) for x, y in ARRAYS]), batch_size=8)
    x, _ = as_pair(several, "train")
    np.testing.assert_array_equal(x["b"], X[:, 2:])
    pairs = DataLoader(Rows([((x[:2], x[2:]), y) for x, y in ARRAYS]), batch_size=8)
    np.testing.assert_array_equal(as_pair(pairs, "train")[0][1], X[:, 2:])
    texts = [(f"text {k}", y) for k, (_, y) in enumerate(ARRAYS)]
    for source in (Rows(texts), DataLoader(Rows(texts), batch_size=8)):
        x, y = as_pair(source, "train")
        assert list(x) == [text for text, _ in texts]
        np.testing.assert_array_equal(np.asarray(y), Y)


class Unknown(Dataset):
    """Has no length."""

    def __getitem__(self, index):
        return ARRAYS[index]


REFUSED = {
    "shuffles": (lambda: DataLoader(PAIR, shuffle=True), InvalidValueError, "train is a DataLoader that reads its rows by RandomSampler, .*shuffle=False"),
    "a sampler": (lambda: DataLoader(PAIR, sampler=SubsetRandomSampler(range(9))), InvalidValueError, "by SubsetRandomSampler"),
    "weights": (lambda: DataLoader(PAIR, sampler=WeightedRandomSampler([1.0] * 30, 30)), InvalidValueError, "by WeightedRandomSampler"),
    "single rows at random": (lambda: DataLoader(PAIR, batch_size=None, sampler=RandomSampler(PAIR)), InvalidValueError, "by RandomSampler"),
    "batches at random": (lambda: DataLoader(PAIR, batch_sampler=torch.utils.data.BatchSampler(RandomSampler(PAIR), 4, False)), InvalidValueError, "by RandomSampler"),
    "leaves rows out": (lambda: DataLoader(PAIR, batch_size=4, drop_last=True), InvalidValueError, "leaves out its last rows: pass one with drop_last=False"),
    "several workers": (lambda: DataLoader(Stream(ARRAYS), batch_size=4, num_workers=2), InvalidValueError, "each read the whole of an IterableDataset, so that its rows come several times: pass one with num_workers=0"),
    "three tensors": (lambda: TensorDataset(*PAIR.tensors, PAIR.tensors[1]), InvalidTypeError, r"gives 3 tensors, but pairs \(x, y\) are needed"),
    "dicts": (lambda: Rows([{"x": x, "y": y} for x, y in ARRAYS]), InvalidTypeError, r"train is a Rows that gives dict, but pairs"),
    "no rows": (lambda: Rows([]), InvalidValueError, "train is a Rows without rows"),
    "no length": (Unknown, InvalidTypeError, "train is a Unknown without a length"),
    "several shapes": (lambda: Rows([(torch.zeros(k + 1), 0) for k in range(3)]), InvalidTypeError, "whose rows do not go together"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_in_order_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        value(LogisticRegression().fit(X, Y), make(), (XT, YT), groups=GROUPS)


def test_what_the_refusals_advise_helps():
    loader = DataLoader(PAIR, shuffle=True, batch_size=4, drop_last=True)
    for source in (
        loader.dataset,
        DataLoader(PAIR, shuffle=False),
        DataLoader(PAIR, batch_size=4, drop_last=False),
        PAIR.tensors,
    ):
        np.testing.assert_array_equal(np.asarray(as_pair(source, "train")[0]), X)
