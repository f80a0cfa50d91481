"""Every public name says in its docstring what it takes, returns and raises, and all examples run."""

from __future__ import annotations

import ast
import builtins
import doctest
import enum
import functools
import importlib
import importlib.util
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.frameworks import FRAMEWORKS

#: The modules whose ``__all__`` are the public names: what the documentation names for users and for authors.
PUBLIC = [
    "unshap_plugin",
    "unshap_plugin.plugin",
    "unshap_plugin.errors",
    "unshap_plugin.estimators",
    "unshap_plugin.losses",
    "unshap_plugin.metrics",
    "unshap_plugin.plots",
    "unshap_plugin.unlearners",
    "unshap_cleanlab",
    "unshap_conformance",
    "unshap_dattri",
    "unshap_opendataval",
    "unshap_opendataval.base",
    "unshap_pydvl",
    "unshap_shapiq",
    "unshap_transformers",
]
#: And the classes of what these give away: parts of a problem, and what functions and methods return.
RETURNED = [
    "unshap_plugin.audit.agreement.Agreement",
    "unshap_plugin.audit.agreement.Bounds",
    "unshap_plugin.audit.agreement.ValueAgreement",
    "unshap_plugin.model.engine.Engine",
    "unshap_plugin.problem.artifacts.Artifacts",
    "unshap_plugin.results.comparison.Comparison",
    "unshap_plugin.results.payments.Payouts",
    "unshap_plugin.unlearners.models.Models",
]
#: The packages whose examples run.
PACKAGES = [
    "unshap_plugin",
    "unshap_cleanlab",
    "unshap_conformance",
    "unshap_dattri",
    "unshap_opendataval",
    "unshap_pydvl",
    "unshap_shapiq",
    "unshap_transformers",
]
#: Annotations of arrays, and parameters that are arrays or pairs of them, whatever their annotations.
ARRAYS = re.compile(r"\b(ArrayLike|NDArray|Tensor|Theta|Rows)\b")
ROWS = {"groups", "reference", "test", "train", "valued", "x_train", "x_valid"}
#: What raises no error of its own: arithmetic on what others have checked, names and sizes, memories, ...
RAISES_NOTHING = {
    "unshap_conformance.estimators.subject.EstimatorSubject.budget_for",
    "unshap_conformance.games.Game.shifted",
    "unshap_conformance.games.Game.times",
    "unshap_conformance.tables.table",
    "unshap_opendataval.base.UnlearningEvaluator.input_data",
    "unshap_transformers.checks.overlap",
    "unshap_plugin.errors.AdvisingError.advising",
    "unshap_plugin.metrics.default_metric",
    "unshap_plugin.metrics.likelihoods",
    "unshap_plugin.metrics.look_up_with",
    "unshap_plugin.model.engine.Engine.*",
    "unshap_plugin.model.recipe.Recipe.orders",
    "unshap_plugin.model.recipe.Recipe.strength",
    "unshap_plugin.problem.once.ComputedOnce.remember",
    "unshap_plugin.problem.problem.ValuationProblem.retained",
    "unshap_plugin.numerics.filling.batch_invariant_matmul",
    "unshap_plugin.unlearners.base.Unlearner.bytes_per_coalition",
    "unshap_plugin.unlearners.base.Unlearner.stand_in",
    "unshap_plugin.unlearners.models.ModelList.restore",
    "unshap_plugin.unlearners.models.Models.restore",
    "unshap_plugin.unlearners.models.StackedModels.restore",
    "unshap_plugin.errors.wording.in_short",
    "unshap_plugin.errors.wording.nearest",
    # ... and data classes, which functions make: they take what they are given.
    "unshap_plugin.audit.agreement.Agreement",
    "unshap_plugin.audit.agreement.Bounds",
    "unshap_plugin.audit.agreement.ValueAgreement",
    "unshap_plugin.problem.artifacts.Artifacts",
    "unshap_conformance.evaluators.subject.EvaluatorSubject",
    "unshap_transformers.documents.Documents",
    "unshap_transformers.tokens.Tokens",
    "unshap_conformance.results.CheckResult",
    "unshap_conformance.unlearners.subject.UnlearnerSubject",
    "unshap_plugin.audit.report.FidelityReport",
    "unshap_plugin.audit.tuning.Tuning",
    "unshap_plugin.estimators.base.Estimate",
    "unshap_plugin.results.result.ValuationResult",
    "unshap_plugin.results.comparison.Comparison",
    "unshap_plugin.results.payments.Payouts",
}
#: What its base, ``Estimator``, shows how to use.
WITHOUT_EXAMPLE = {"unshap_plugin.estimators.permutation.Permutation"}
#: What the helpers raise.
CHECKS = {name: {InvalidTypeError, InvalidValueError} for name in ("check_integer", "check_number", "check_share")}
SHAPE = re.compile(r"\[[^]]*\]")
LACKS_OPENDATAVAL = importlib.util.find_spec("opendataval") is None
#: Adapters that cannot be imported, for the lack of their framework; that of transformers imports it where it is used.
LACKING = {
    one.adapter
    for one in FRAMEWORKS.values()
    if importlib.util.find_spec(one.name) is None and one.name != "transformers"
}


# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")


def needs_opendataval(name):
    return "opendataval" in name or "valuator" in name


def lacks_its_framework(name):
    return name.partition(".")[0] in LACKING


def public():
    """The public functions and classes, and the methods and properties of these, by where they are defined.

    Each comes with the class that defines it, or ``None`` where it is no method.
    """
    places = [module for module in PUBLIC if not lacks_its_framework(module)]
    names = [(module, name) for module in places for name in importlib.import_module(module).__all__]
    found = {}
    for module, name in [*names, *(one.rsplit(".", 1) for one in RETURNED)]:
        if needs_opendataval(name) and LACKS_OPENDATAVAL:
            continue
        one = getattr(importlib.import_module(module), name)
        if inspect.isclass(one):
            found[called(one)] = one, None
            found |= members(one)
        elif inspect.isfunction(one):
            found[called(one)] = one, None
    return found


def called(one):
    return f"{one.__module__}.{one.__qualname__}"


def ours(kind):
    """The class and those of its bases that are defined in these packages."""
    return [base for base in kind.__mro__ if base.__module__.partition(".")[0] in PACKAGES]


def is_ours(function):
    """Whether somebody wrote it here: the constructors of data classes and of protocols are made by Python."""
    return function.__module__.partition(".")[0] in PACKAGES and function.__code__.co_filename != "<string>"


def members(kind):
    """The public methods and properties of a class and of its bases, each with the class that defines it."""
    found = {}
    for base in ours(kind):
        for name in vars(base):
            value = own(base, name)
            published = not name.startswith("_") or name == "__call__"
            if published and (inspect.isfunction(value) or isinstance(value, property)):
                found[f"{called(base)}.{name}"] = value, base
    return found


def own(kind, name):
    """What a class itself defines under a name: a function, or a property."""
    value = vars(kind).get(name)
    value = getattr(value, "__func__", value)  # of a class method or a static method
    return property(value.func) if isinstance(value, functools.cached_property) else value


PUBLISHED = public()
NAMES = {name: one for name, (one, _) in PUBLISHED.items()}
#: The classes of the methods and properties.
OWNERS = {name: owner for name, (_, owner) in PUBLISHED.items() if owner is not None}


def is_method(name):
    return name in OWNERS


def contracts(name):
    """A method or property as the bases of its class define it, whose docstrings hold for what overrides them."""
    if not is_method(name):
        return []
    last = name.rpartition(".")[2]
    return [own(base, last) for base in ours(OWNERS[name])[1:] if last in vars(base)]


def above(name):
    """Where else the parameters of one may be described."""
    if is_method(name):
        return [OWNERS[name], *contracts(name)]
    return ours(NAMES[name])[1:] if inspect.isclass(NAMES[name]) else []


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


def raises_nothing(name):
    """Whether it is named there, or a method that it overrides, or all of its class."""
    if not is_method(name):
        return bool({name, f"{name}.*"} & RAISES_NOTHING)
    names = {f"{called(base)}.{name.rpartition('.')[2]}" for base in ours(OWNERS[name])}
    return bool((names | {f"{called(OWNERS[name])}.*"}) & RAISES_NOTHING)


def annotations(one):
    """The annotations of the parameters, as they are written, and of what is returned."""
    if isinstance(one, property):
        return {}, str(inspect.signature(one.fget).return_annotation)
    if inspect.isclass(one) and issubclass(one, enum.Enum | Exception):
        return {}, ""
    if inspect.isclass(one) and ("__init__" not in vars(one) or getattr(one, "_is_protocol", False)):
        return {}, ""  # described where the constructor is defined
    called = one.__init__ if inspect.isclass(one) else one
    signature = inspect.signature((lambda: None) if called is object.__init__ else called)
    parameters = {name: str(p.annotation) for name, p in signature.parameters.items() if name not in ("self", "cls")}
    return parameters, "" if inspect.isclass(one) else str(signature.return_annotation)


def signals(name):
    """The classes of errors that the code of one raises, itself or through what its class or module keeps private."""
    kind = NAMES[name] if inspect.isclass(NAMES[name]) else OWNERS.get(name)
    starts = ["__init__", "__post_init__"] if kind is NAMES[name] else [name.rpartition(".")[2]]
    todo = [NAMES[name]] if kind is None else [own(kind, start) for start in starts]
    raised, seen = set(), set()
    while todo:
        function = todo.pop()
        function = function.fget if isinstance(function, property) else function
        if function in seen or not inspect.isfunction(function) or not is_ours(function):
            continue
        seen.add(function)
        known = vars(builtins) | function.__globals__
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                raised.add(known[node.exc.func.id])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                raised |= CHECKS.get(node.func.id, set())
                todo += [known.get(node.func.id)] if node.func.id.startswith("_") else []
            if kind and isinstance(node, ast.Attribute) and ast.unparse(node).startswith("self._"):
                todo += [own(base, node.attr) for base in ours(kind) if node.attr in vars(base)]
    return raised - {NotImplementedError}


def shown(text):
    """What the examples of a docstring use: names, and attributes of anything."""
    used = set()
    for example in doctest.DocTestParser().get_examples(text or ""):
        for node in ast.walk(ast.parse(example.source)):
            if isinstance(node, ast.Name | ast.Attribute):
                used.add(node.id if isinstance(node, ast.Name) else f".{node.attr}")
            elif isinstance(node, ast.alias):
                used.add(node.name)
    return used


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
    # A method may do so in its text, a class for several of its methods, and a base for what is derived from it.
    elsewhere = [sections(one) for one in above(name)]
    prose = (parts[""] if is_method(name) else "") + "".join(one[""] for one in elsewhere)
    shared = {one for parts in elsewhere for one in described(parts.get("Parameters", ""))}
    shared |= {one for one in parameters if f"``{one}``" in prose}
    assert set(parameters) <= set(said) | shared, f"{name} does not describe {set(parameters) - set(said) - shared}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OWNERS.keys() | WITHOUT_EXAMPLE])
def test_it_has_an_example(name):
    used, last = shown(sections(NAMES[name]).get("Examples", "")), name.rpartition(".")[2]
    # What makes the objects of a class may have another name.
    assert used if inspect.isclass(NAMES[name]) else {last, f".{last}"} & used, name


@pytest.mark.parametrize("name", [name for name in OWNERS if not name.endswith(".__call__")])
def test_a_method_has_an_example(name):
    """Its own, or one of its class; what overrides the method of a base may leave that to the base."""
    last = name.rpartition(".")[2]
    places = [NAMES[name], *contracts(name), *(base for base in ours(OWNERS[name]) if last in vars(base))]
    assert any(f".{last}" in shown(inspect.getdoc(one)) for one in places), name


@pytest.mark.parametrize("name", [name for name, one in NAMES.items() if annotations(one)[0] or signals(name)])
def test_it_says_what_is_raised(name):
    said = "\n".join(sections(one).get("Raises", "") for one in (NAMES[name], *contracts(name)))
    words = {word for line in said.splitlines() if not line.startswith(" ") for word in re.findall(r"\w+", line)}
    for kind in signals(name):
        assert words & {one.__name__ for one in kind.__mro__}, f"{name} does not say that it raises {kind.__name__}"
    assert said.strip() or raises_nothing(name), f"{name} does not say what it raises"


def test_what_raises_nothing_is_public_and_raises_nothing():
    for name in filter(raises_nothing, NAMES):
        assert not signals(name), name
        assert "Raises" not in sections(NAMES[name]), name
    assert LACKS_OPENDATAVAL or not {name.removesuffix(".*") for name in RAISES_NOTHING} - set(NAMES)


def is_array(parameter, annotation):
    return ARRAYS.search(annotation) or parameter in ROWS


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, one in NAMES.items()
        if any(is_array(*pair) for pair in annotations(one)[0].items()) or ARRAYS.search(annotations(one)[1])
    ],
)
def test_the_shapes_of_arrays_are_named(name):
    parameters, returned = annotations(NAMES[name])
    parts = sections(NAMES[name])
    said = described(parts.get("Parameters", ""))
    parts[""] += "".join(sections(one)[""] for one in contracts(name))
    for parameter, annotation in parameters.items():
        if is_array(parameter, annotation):
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


@pytest.mark.parametrize("name", [name for name in modules() if not lacks_its_framework(name)])
def test_the_examples_of_a_module_run(name):
    if needs_opendataval(name):
        pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0
