"""What errors about data sets and loaders of torch advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from advised import XT, YT, X, Y
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from unshap_plugin import ValuationProblem

FOLDERS = ["unshap_plugin/problem/loaders.py"]

TX, TY = torch.as_tensor(X), torch.as_tensor(Y)


def problem(train):
    torch.manual_seed(0)
    return ValuationProblem(nn.Linear(3, 2).double(), train, (XT, YT))


PLAIN = problem((X, Y))


def as_plain(train):
    """Fail unless that is the problem of the arrays."""
    found = problem(train)
    torch.testing.assert_close(found.x, TX)
    torch.testing.assert_close(found.y, TY)
    np.testing.assert_array_equal(found.given_utility, PLAIN.given_utility)


ROWS = TensorDataset(TX, TY)


class Stream(IterableDataset):
    """Rows, one after the other."""

    def __iter__(self):
        return iter(ROWS)


class Numbered(Dataset):
    """Rows by number."""

    def __getitem__(self, index):
        return ROWS[index]


class Counted(Numbered):
    """Rows by number, of which one knows how many there are."""

    def __len__(self):
        return 30


class Triples(Counted):
    """Rows with something besides."""

    def __getitem__(self, index):
        return *ROWS[index], index


class Torn(Counted):
    """Rows by number, one of which is no longer there."""

    def __getitem__(self, index):
        if index == 4:
            raise FileNotFoundError("4.png")
        return ROWS[index]


class Mended(Torn):
    """The same, with the row that was lost."""

    def __getitem__(self, index):
        return ROWS[index]


KEPT = [index for index in range(30) if index != 4]

CASES = [
    Case(
        "a row that cannot be read",
        lambda: problem(Torn()),
        "mend its __getitem__, or leave that row out with torch.utils.data.Subset",
        (lambda: as_plain(Mended()), lambda: torch.testing.assert_close(problem(Subset(Torn(), KEPT)).x, TX[KEPT])),
    ),
    Case(
        "a loader that shuffles",
        lambda: problem(DataLoader(ROWS, 8, shuffle=True)),
        "pass one with shuffle=False, or its dataset, train=loader.dataset",
        (
            lambda: as_plain(DataLoader(ROWS, 8, shuffle=False)),
            lambda: as_plain(DataLoader(ROWS, 8, shuffle=True).dataset),
        ),
    ),
    Case(
        "a loader of several workers",
        lambda: problem(DataLoader(Stream(), 8, num_workers=2)),
        "pass one with num_workers=0, or its dataset, train=loader.dataset",
        (
            lambda: as_plain(DataLoader(Stream(), 8, num_workers=0)),
            lambda: as_plain(DataLoader(Stream(), 8, num_workers=2).dataset),
        ),
    ),
    Case(
        "a loader that leaves out rows",
        lambda: problem(DataLoader(ROWS, 8, drop_last=True)),
        "pass one with drop_last=False, or its dataset, train=loader.dataset",
        (
            lambda: as_plain(DataLoader(ROWS, 8, drop_last=False)),
            lambda: as_plain(DataLoader(ROWS, 8, drop_last=True).dataset),
        ),
    ),
    Case(
        "a data set of unknown length",
        lambda: problem(Numbered()),
        "give it __len__, or pass a pair (x, y)",
        (lambda: as_plain(Counted()), lambda: as_plain((X, Y))),
    ),
    Case(
        "rows with something besides",
        lambda: problem(Triples()),
        "pass (x, y) itself",
        (lambda: as_plain((X, Y)),),
    ),
    Case(
        "tensors with something besides",
        lambda: problem(TensorDataset(TX, TY, TY)),
        "pass (x, y) itself",
        (lambda: as_plain((TX, TY)),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
