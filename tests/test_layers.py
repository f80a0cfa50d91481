"""The house: imports go one way, from the layers below to those above, and no module is too long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "unshap_plugin"

#: From the lowest to the highest; what stands in one line may not import each other, except within a package.
LAYERS = [
    ["errors"],
    ["support", "coalitions", "frameworks"],
    ["numerics"],
    ["losses"],
    ["scoring"],
    ["metrics"],
    ["model"],
    ["problem"],
    ["second_order"],
    ["unlearners"],
    ["estimators"],
    ["plugins"],
    ["evaluation"],
    ["store"],
    ["plots"],
    ["cautions"],
    ["reports"],
    ["results", "game"],
    ["provenance", "covariates", "retraining"],
    ["estimated"],
    ["corrected", "by_name"],
    ["valuation"],
    ["semivalues"],
    ["audit"],
    ["plugin"],
    ["unshap_plugin"],  # the public names
    [
        "unshap_cleanlab",
        "unshap_dattri",
        "unshap_opendataval",
        "unshap_pydvl",
        "unshap_shapiq",
        "unshap_transformers",
    ],
    ["unshap_conformance"],
    ["cli"],
    ["__main__"],
]
ORDER = {name: height for height, names in enumerate(LAYERS) for name in names}
FOLDERS = [CORE, ROOT / "conformance" / "unshap_conformance", *sorted((ROOT / "adapters").iterdir())]
MODULES = {
    ".".join((*path.relative_to(folder.parent).with_suffix("").parts,)).removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in folder.rglob("*.py")
}
OURS = {folder.name for folder in FOLDERS}


def imports(path):
    """Every module of ours that a file imports, wherever in the file; what is for types alone is not an import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports say where from"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


EDGES = {
    name: sorted({one for one in imports(path) if one.split(".")[0] in OURS} - {name}) for name, path in MODULES.items()
}


def layer(module):
    """What a module belongs to: a package or module of the core, the conformance suite, or an adapter."""
    top, *rest = module.split(".")
    return rest[0] if top == "unshap_plugin" and rest else top


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.split(".")[0] in ("unshap_plugin",)))
def test_a_module_imports_from_below(name):
    for other in EDGES[name]:
        if layer(other) == layer(name):
            continue
        assert layer(other) in ORDER, f"{other} has no place in the order of the layers"
        assert ORDER[layer(other)] < ORDER[layer(name)], f"{name} imports {other}, which lies above it"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.startswith("unshap_plugin")))
def test_what_is_built_on_the_core_imports_no_command(name):
    above = {"cli", "__main__"}
    assert not [other for other in EDGES[name] if layer(other) in above]
    others = OURS - {"unshap_plugin", name.split(".")[0]}
    assert not [other for other in EDGES[name] if other.split(".")[0] in others], "they do not build on each other"


def test_there_is_no_circle():
    """Between modules, packages' ``__init__`` included."""
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for other in EDGES[name]:
            if other in MODULES and other != name.rpartition(".")[0]:  # the package of a module is imported first
                visit(other)
        path.pop()
        done.add(name)

    for name in MODULES:
        visit(name)


def test_every_layer_exists():
    there = {layer(name) for name in MODULES}
    assert {name for names in LAYERS for name in names} <= there | {"__main__"}
    assert {name for name in there if not name.startswith("unshap_") or name == "unshap_plugin"} <= set(ORDER)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_is_long(name):
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= 300, f"{name} has {lines} lines: it has more than one reason to exist"
