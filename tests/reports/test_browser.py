"""The report in a real browser, where Chromium is on the path: at two widths, sorted by mouse, with foreign names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from browser import tab
from made_results import made

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    '"><svg onload="window.hit = 1">',
)
WIDTHS = (400, 1600)
NAMES = (*HOSTILE, "a name without an end " * 12, "x" * 300, *(f"site {i}" for i in range(40)))

#: What sticks out of the window, or of what it stands in, where that cannot be scrolled.
CLIPPED = """
[...document.querySelectorAll("body *")].filter((one) => {
  if (one.closest("svg") && one.tagName !== "svg") return false;
  const box = one.getBoundingClientRect();
  if (!box.width || one.closest("script, style")) return false;
  const wide = one.parentElement.closest(".wide");
  if (!wide) return box.left < -0.5 || box.right > innerWidth + 0.5;
  return getComputedStyle(wide).overflowX !== "auto" || box.right - wide.getBoundingClientRect().left
    > wide.scrollWidth + wide.scrollLeft + 0.5;
}).map((one) => one.outerHTML.slice(0, 100))
"""
FIRST = 'Array.from(document.querySelectorAll("tbody tr")).map((one) => one.cells[0].textContent)'


@pytest.fixture(scope="module")
def browser():
    with tab() as one:
        yield one


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    values = rng.normal(size=len(NAMES))
    return replace(made(values, rng.uniform(0.01, 0.3, len(NAMES)), players=NAMES), notes=HOSTILE)


@pytest.fixture(scope="module")
def path(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    result.to_html(path, paid=result.payouts(10_000))
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_clipped(browser, path, width):
    browser.open(path, width)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(CLIPPED) == []
    drawn = browser.run("""[...document.querySelectorAll("svg")].map((one) => one.getBoundingClientRect().height)""")
    assert len(drawn) == 1
    assert min(drawn) > 100


@pytest.mark.parametrize("width", WIDTHS)
def test_a_press_of_the_mouse_sorts(browser, path, result, width):
    browser.open(path, width)
    best = [NAMES[i] for i in np.argsort(-result.values)]
    assert browser.run(FIRST) == best
    browser.click("thead th:nth-child(2) button")
    browser.click("thead th:nth-child(2) button")
    assert browser.run(FIRST) == best[::-1]
    assert browser.run('document.querySelector("[aria-sort]").textContent') == "value"
    browser.click("thead th:nth-child(3) button")
    assert browser.run(FIRST) == [NAMES[i] for i in np.argsort(-result.std_errors)]


def test_names_do_nothing_and_nothing_is_asked_for(browser, path):
    browser.said.clear()
    browser.asked.clear()
    browser.open(path, 1600)
    assert browser.run("typeof window.hit") == "undefined"
    assert set(HOSTILE) <= set(browser.run(FIRST))
    assert browser.asked == [path.resolve().as_uri()]
    assert browser.said == []
