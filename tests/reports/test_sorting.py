"""The script of the report sorts its table: run as it ships, by the engine of Chromium, on the rows of a page."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from made_results import made

from unshap_plugin.reports.page import html_report

MiniRacer = pytest.importorskip("py_mini_racer", reason="mini-racer is not installed").MiniRacer

#: As much of a document as the script asks for: a table whose heads are buttons.
DOCUMENT = """
const cell = ([text, key]) => ({ textContent: text, dataset: { key } });
const rows = TABLE.rows.map((cells) => ({ cells: cells.map(cell) }));
const body = { rows, append(...moved) {
  for (const one of moved) rows.splice(rows.indexOf(one), 1);
  rows.push(...moved);
} };
const line = { cells: [] };
const buttons = TABLE.heads.map(([name, sort], cellIndex) => {
  const attributes = sort ? { "aria-sort": sort } : {};
  const head = { cellIndex, parentElement: line,
    getAttribute: (one) => attributes[one] ?? null,
    setAttribute: (one, text) => { attributes[one] = text; },
    removeAttribute: (one) => { delete attributes[one]; } };
  line.cells.push(head);
  const button = { textContent: name, closest: (one) => ({ th: head, table: { tBodies: [body] } })[one],
    addEventListener: (event, act) => { button[event] = act; } };
  return button;
});
const document = { querySelectorAll: (selector) => ({ "thead button": buttons })[selector] };
const sorted = () => JSON.stringify(line.cells.map((one) => one.getAttribute("aria-sort")));
const names = () => JSON.stringify(rows.map((row) => row.cells[0].textContent));
"""


class Table:
    """The table of a page, whose heads can be pressed."""

    def __init__(self, page):
        head, rows = re.search(r"<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>", page, re.DOTALL).groups()
        heads = re.findall(r'<th scope="col"(?: aria-sort="(\w+)")?><button type="button">(.*?)</button>', head)
        cells = [
            re.findall(r'<t[hd](?: scope="row"| data-key="(.*?)")>(.*?)</t[hd]>', row) for row in rows.split("<tr")
        ]
        table = {
            "heads": [(name, sort) for sort, name in heads],
            "rows": [[(text, key) for key, text in row] for row in cells if row],
        }
        self.heads = [name for name, _ in table["heads"]]
        self._engine = MiniRacer()
        self._engine.eval(f"const TABLE = {json.dumps(table)};{DOCUMENT}")
        self._engine.eval(re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1])

    def press(self, name):
        self._engine.eval(f"buttons[{self.heads.index(name)}].click()")
        return self.names

    @property
    def names(self):
        return json.loads(self._engine.eval("names()"))

    @property
    def sorted_by(self):
        by = json.loads(self._engine.eval("sorted()"))
        return {name: how for name, how in zip(self.heads, by, strict=True) if how is not None}


RESULT = made(
    [0.5, -1e-9, 30.0, -2.0, 0.04], [0.1, 0.3, np.nan, np.nan, 1e-12], players=("site 10", "site 9", "b", "a", "site 1")
)


@pytest.fixture
def table():
    return Table(html_report(RESULT, paid=RESULT.payouts(100)))


def test_the_page_comes_sorted_by_rank(table):
    assert table.names == ["b", "site 10", "site 1", "site 9", "a"]
    assert table.sorted_by == {"rank": "ascending"}


def test_numbers_go_by_size_largest_first_and_the_other_way_round(table):
    for name in ("value", "payment"):
        best = ["b", "site 10", "site 1", "site 9", "a"]
        assert table.press(name)[:3] == best[:3]
        assert table.sorted_by == {name: "descending"}
        assert table.press(name)[-3:] == best[2::-1]
        assert table.sorted_by == {name: "ascending"}


def test_what_is_not_known_comes_last_either_way(table):
    known = ["site 9", "site 10", "site 1"]
    assert table.press("standard error") == [*known, "b", "a"]
    assert table.press("standard error") == [*known[::-1], "b", "a"]


def test_names_go_in_their_order_with_their_numbers(table):
    names = ["a", "b", "site 1", "site 9", "site 10"]
    assert table.press("player") == names
    assert table.press("player") == names[::-1]
    assert table.sorted_by == {"player": "descending"}


def test_rank_begins_with_the_best_again(table):
    table.press("player")
    assert table.press("rank") == ["b", "site 10", "site 1", "site 9", "a"]
    assert table.press("rank")[0] == "a"
