"""What errors about players advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
from advice import Case, check, without_a_case
from advised import GROUPS, X, Y, plausible, same, values
from sklearn.naive_bayes import GaussianNB

FOLDERS = ["unshap_plugin/problem/players.py"]


def bayes(**kwargs):
    return values(GaussianNB().fit(X, Y), **kwargs)


NAMED = {name: index for index, name in enumerate("abc")}
TABLE = {"provider": GROUPS}
BOTH = np.array([1, "1", 2] * 10, dtype=object)

CASES = [
    Case(
        "a single group",
        lambda: bayes(groups=["a"] * 30),
        "at least two groups are needed, or valued groups that leave a background",
        (lambda: plausible(bayes()), lambda: plausible(bayes(valued=["a"]))),
    ),
    Case(
        "a group that is misspelt",
        lambda: bayes(groups=np.repeat(["acme", "bolt", "core"], 10), valued=["acne"]),
        "(did you mean 'acme'?)",
        (lambda: plausible(bayes(groups=np.repeat(["acme", "bolt", "core"], 10), valued=["acme"])),),
    ),
    Case(
        "no valued group",
        lambda: bayes(valued=[]),
        "name at least one group, or leave it out to value all of them",
        (lambda: plausible(bayes(valued=["b"])), lambda: plausible(bayes())),
    ),
    Case(
        "a single valued group",
        lambda: bayes(valued="b"),
        "a list of groups is needed",
        (lambda: plausible(bayes(valued=["b"])),),
    ),
    Case(
        "the name of a column",
        lambda: bayes(groups="provider"),
        "pass that column itself",
        (lambda: same(bayes(groups=TABLE["provider"]), bayes()),),
    ),
    Case(
        "a set of groups",
        lambda: bayes(groups=NAMED),
        "but a list is needed: one label per row, in order",
        (lambda: same(bayes(groups=GROUPS.tolist()), bayes()),),
    ),
    Case(
        "labels of groups of several types",
        lambda: bayes(groups=BOTH),
        "use labels of one type, such as text",
        (lambda: plausible(bayes(groups=[f"{type(one).__name__} {one}" for one in BOTH])),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
