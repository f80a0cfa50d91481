"""Every public name says in its docstring what it takes, returns and raises, and all examples run."""

from __future__ import annotations

import dataclasses
import doctest
import enum
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

#: The modules whose ``__all__`` are the public names.
PUBLIC = ["unshap_plugin", "unshap_plugin.plugin", "unshap_conformance", "unshap_opendataval"]
#: The packages whose examples run.
PACKAGES = ["unshap_plugin", "unshap_conformance", "unshap_opendataval"]
ARRAYS = re.compile(r"\b(ArrayLike|NDArray|Tensor)\b")
#: What can be asked for anything without an error.
RAISES_NOTHING = {
    "unshap_conformance.table",
    "unshap_plugin.plugin.batch_invariant_matmul",
    "unshap_plugin.plugin.coalition_seed",
}
SHAPE = re.compile(r"\[[^]]*\]")
LACKS_OPENDATAVAL = importlib.util.find_spec("opendataval") is None


# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")


def needs_opendataval(name):
    return "opendataval" in name or "valuator" in name


def public():
    """The functions and classes among the public names, and the methods and properties of the classes."""
    found = {}
    for module in PUBLIC:
        if needs_opendataval(module) and LACKS_OPENDATAVAL:
            continue
        for name in importlib.import_module(module).__all__:
            if needs_opendataval(name) and LACKS_OPENDATAVAL:
                continue
            one = getattr(importlib.import_module(module), name)
            if inspect.isclass(one) or inspect.isfunction(one):
                found[f"{module}.{name}"] = one
            if inspect.isclass(one):
                found |= {f"{module}.{name}.{member}": value for member, value in members(one)}
    return found


def members(kind):
    """The public methods and properties that are defined in a class of these packages."""
    for name in dir(kind):
        defined_in = next((base for base in kind.__mro__ if name in vars(base)), None)
        if defined_in is None or defined_in.__module__.partition(".")[0] not in PACKAGES:
            continue
        value = vars(defined_in)[name]
        value = getattr(value, "__func__", value)  # of a class method or a static method
        if (not name.startswith("_") or name == "__call__") and (
            inspect.isfunction(value) or isinstance(value, property)
        ):
            yield name, value


NAMES = public()


def is_method(name):
    return name.rpartition(".")[0] in NAMES


def sections(one):
    """The sections of a numpy docstring by their titles; the title of what stands before the first is empty."""
    parts, title = {"": []}, ""
    lines = (inspect.getdoc(one) or "").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            title = line
            parts[title] = []
        elif not (line and set(line) == {"-"}):
            parts[title].append(line)
    return {name: "\n".join(text) for name, text in parts.items()}


def described(text):
    """What a section says about each of the names that it describes."""
    found, names = {}, []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip(" *") for name in line.partition(" : ")[0].split(",")]
            found |= dict.fromkeys(names, "")
        for name in names:
            found[name] += line + "\n"
    return found


def annotations(one):
    """The annotations of the parameters, as they are written, and of what is returned."""
    if isinstance(one, property):
        return {}, str(inspect.signature(one.fget).return_annotation)
    if inspect.isclass(one) and issubclass(one, enum.Enum | Exception):
        return {}, ""
    if inspect.isclass(one) and "__init__" not in vars(one):
        return {}, ""  # described where the constructor is defined
    called = one.__init__ if inspect.isclass(one) else one
    signature = inspect.signature((lambda: None) if called is object.__init__ else called)
    parameters = {name: str(p.annotation) for name, p in signature.parameters.items() if name not in ("self", "cls")}
    return parameters, "" if inspect.isclass(one) else str(signature.return_annotation)


def checks_nothing(one):
    """A data class that takes what it is given."""
    return dataclasses.is_dataclass(one) and not hasattr(one, "__post_init__")


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_with_a_sentence(name):
    text = inspect.getdoc(NAMES[name]) or ""
    assert re.fullmatch(r"\S.*\.", text.partition("\n")[0]), f"{name}: {text[:100]!r}"


@pytest.mark.parametrize("name", [name for name, one in NAMES.items() if annotations(one)[0]])
def test_every_parameter_is_described(name):
    parameters, parts = annotations(NAMES[name])[0], sections(NAMES[name])
    said = described(parts.get("Parameters", ""))
    assert set(said) <= set(parameters)
    assert all("\n    " in text for text in said.values()), f"{name} names a parameter without saying what it is"
    # A method may do so in its text, and a class for several of its methods.
    owner = sections(NAMES[name.rpartition(".")[0]]) if is_method(name) else {"": ""}
    prose = parts[""] + owner[""] if is_method(name) else ""
    shared = {one for one in parameters if one in described(owner.get("Parameters", "")) or f"``{one}``" in prose}
    assert set(parameters) <= set(said) | shared, f"{name} does not describe {set(parameters) - set(said) - shared}"


@pytest.mark.parametrize("name", [name for name, one in NAMES.items() if not is_method(name)])
def test_it_has_an_example(name):
    assert ">>>" in sections(NAMES[name]).get("Examples", ""), name


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, one in NAMES.items()
        if annotations(one)[0] and not (is_method(name) or name in RAISES_NOTHING or checks_nothing(one))
    ],
)
def test_it_says_what_is_raised(name):
    assert sections(NAMES[name]).get("Raises", "").strip(), name


@pytest.mark.parametrize("name", [name for name, one in NAMES.items() if ARRAYS.search(str(annotations(one)))])
def test_the_shapes_of_arrays_are_named(name):
    parameters, returned = annotations(NAMES[name])
    parts = sections(NAMES[name])
    said = described(parts.get("Parameters", ""))
    for parameter, annotation in parameters.items():
        if ARRAYS.search(annotation):
            assert SHAPE.search(said.get(parameter, parts[""])), f"{name} does not say the shape of {parameter}"
    if ARRAYS.search(returned):
        assert SHAPE.search(parts.get("Returns", parts[""])), f"{name} does not say the shape of what it returns"


def modules():
    """The modules of the packages, found without importing them."""
    for package in PACKAGES:
        folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            if parts[-1] != "__main__":
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_of_a_module_run(name):
    if needs_opendataval(name):
        pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0
