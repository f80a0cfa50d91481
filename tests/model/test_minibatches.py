"""Minibatches of many coalitions: against a plain loop over each of them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin.model.minibatches import batches_of_an_epoch, minibatches, orders

ROWS = 11


def plain(rows, size, order, joins):
    """Return the batches of one epoch of a coalition."""
    if len(rows) <= int(joins):
        return []
    own = [row for row in order if row in rows]
    cut = [own[begin : begin + size] for begin in range(0, len(own), size)]
    if joins and len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [cut[-2] + cut[-1]]
    return cut if len(cut) > 1 else [sorted(rows)]


@st.composite
def cases(draw):
    m = draw(st.integers(1, 4))
    masks = draw(st.lists(st.lists(st.booleans(), min_size=ROWS, max_size=ROWS), min_size=m, max_size=m))
    return torch.tensor(masks), draw(st.integers(1, ROWS + 2)), draw(st.integers(1, 3)), draw(st.booleans())


@given(cases(), st.integers(0, 3))
def test_every_coalition_takes_its_own_rows_in_the_shared_order(case, seed):
    mine, size, epochs, joins = case
    joins = joins and size > 1
    drawn = orders(ROWS, epochs, seed)
    steps = epochs * batches_of_an_epoch(mine.sum(dim=1), size, joins=joins)
    mine = mine[steps.argsort(descending=True, stable=True)]
    steps = steps.sort(descending=True).values
    found = [[] for _ in mine]
    for rows, present in minibatches(mine, size, steps, drawn, joins=joins):
        for k, (row, own) in enumerate(zip(rows, present, strict=True)):
            found[k].append(row[own].tolist())
    for k, mask in enumerate(mine):
        rows = mask.nonzero().flatten().tolist()
        assert found[k] == [batch for order in drawn for batch in plain(rows, size, order.tolist(), joins)]


def test_orders_of_more_epochs_begin_with_those_of_fewer():
    np.testing.assert_array_equal(orders(7, 5, 1)[:2], orders(7, 2, 1))


def test_without_a_size_all_rows_are_taken():
    mine = torch.tensor([[True, False], [False, False]])
    taken = list(minibatches(mine, None, torch.tensor([2, 1]), orders(2, 1, 0)))
    assert [rows for rows, _ in taken] == [None, None]
    assert [present.tolist() for _, present in taken] == [mine.tolist(), mine[:1].tolist()]
