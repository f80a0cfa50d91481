"""Every snippet of the documentation is run by a test, and what the pages name is there."""

from __future__ import annotations

import re
import shlex

import pytest
from readme import ROOT, blocks, run, text_of
from unshap_conformance.estimators import ESTIMATOR_CHECKS
from unshap_conformance.unlearners import UNLEARNER_CHECKS

from unshap_plugin.cli.main import main
from unshap_plugin.plugins.manager import BUILTIN
from unshap_plugin.plugins.registry import registered_unlearners

#: The pages with snippets, and the test that runs them. Those that are run here stand for themselves.
HERE = "tests/docs/test_pages.py"
RUN_BY = {
    "README.md": "tests/docs/test_readme.py",
    "docs/audit.md": "tests/docs/test_audit_guide.py",
    "docs/clusters.md": "tests/evaluation/test_dask.py",
    "docs/conformance.md": "tests/conformance/test_installed.py",
    "docs/contracts.md": HERE,
    "docs/corrected.md": HERE,
    "docs/frameworks.md": "tests/docs/test_frameworks_page.py",
    "docs/glossary.md": HERE,
    "docs/language_models.md": "tests/adapters/transformers/test_guide.py",
    "docs/markets.md": HERE,
    "docs/long_runs.md": HERE,
    "docs/methods.md": HERE,
    "docs/models.md": HERE,
    "docs/partial.md": "tests/docs/test_partial_guide.py",
    "docs/plugins.md": "tests/docs/test_plugin_guide.py",
    "docs/values.md": HERE,
    "docs/store.md": "tests/docs/test_store_guide.py",
}
#: Pages that are made of other texts, on the site.
SITE = {"api", "changes", "contributing", "index", "template"}
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md") if path.stem not in SITE)]
SNIPPETS = [(page, name) for page, test in RUN_BY.items() if test == HERE for name in blocks(page)]


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_is_marked_and_of_a_page_that_a_test_runs(page):
    fences = len(re.findall(r"^```\w+", text_of(page), re.MULTILINE))
    assert fences == len(blocks(page))
    assert bool(fences) == (page in RUN_BY)
    if fences:
        assert (ROOT / RUN_BY[page]).is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
@pytest.mark.parametrize(("page", "name"), SNIPPETS, ids=[f"{page}-{name}" for page, name in SNIPPETS])
def test_snippets(page, name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    language, text = blocks(page)[name]
    if language == "python":
        run(text)
    else:
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        monkeypatch.chdir(tmp_path)  # where files may be written
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "unshap"
            assert main(arguments) == 0


def test_every_built_in_unlearner_is_in_the_table():
    listed = re.findall(r"^\| `(\w+)`", text_of("docs/methods.md"), re.MULTILINE)
    ours = [name for name, one in registered_unlearners().items() if one.provider.distribution == BUILTIN]
    assert sorted(listed) == sorted(ours)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        file, _, heading = target.partition("#")
        if "://" in target:
            continue
        linked = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, target


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_reached_from_the_readme(page):
    assert page == "README.md" or f"]({page}" in text_of("README.md")


def test_what_is_said_to_hold_the_contracts_is_there():
    contracts = text_of("docs/contracts.md").split("\n## ")[1:9]
    assert [one[:2] for one in contracts] == [f"{number}." for number in range(1, 9)]
    known = {check.name for check in (*ESTIMATOR_CHECKS, *UNLEARNER_CHECKS)}
    for contract in contracts:
        tests, _, checks = contract.partition("**Held by**")[2].partition("; check")
        source = ""
        for name in re.findall(r"`([^`]+)`", tests):
            if name.endswith(".py"):
                source = text_of(name)
            else:
                assert f"def {name}(" in source, name
        assert source
        assert set(re.findall(r"`(\w+)`", checks)) <= known


def test_measurements_stand_beside_the_command_that_made_them():
    sections = text_of("docs/measurements.md").split("\n## ")[1:]
    for section in sections:
        assert "|---|" in section
        [script] = re.findall(r"`python (benchmarks/\w+\.py)[^`]*`", section)
        assert (ROOT / script).is_file()
