"""Plugins: how they are found, what happens to broken ones, and what their unlearners may not do."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import json
import logging
import pickle
import random
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from problems import UNLEARNERS, coalitions, early_stopped

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.cli.main import main
from unshap_plugin.errors import (
    ContractError,
    DivergenceError,
    InvalidTypeError,
    InvalidValueError,
    PluginError,
    UnknownNameError,
)
from unshap_plugin.plugin import Access, ModelKind, ModelList, Unlearner, UnlearnerSpec, coalition_seed, hookimpl
from unshap_plugin.plugins import hookspecs
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.offers import RESERVED
from unshap_plugin.plugins.registry import find_unlearner, registered_unlearners, resolve_unlearner
from unshap_plugin.unlearners import FineTune

BUILT_IN = {"linear_exact", *UNLEARNERS}
BROKEN = {
    "import_error": ("broken-import 0.3", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    "wrong_type": ("wrong-type 0.4", "unshap_unlearners gave a dict, but UnlearnerSpec objects are needed"),
    "misspelled": (
        "misspelled-hook 0.5",
        "it implements the hook 'unshap_unlearner', which does not exist (did you mean 'unshap_unlearners'?); the "
        "hooks are: unshap_estimators, unshap_metrics, unshap_unlearners",
    ),
    "raises": ("raises-late 0.6", "LookupError: no licence found"),
    "invalid_name": (
        "invalid-name 0.7",
        "unlearner name 'two words' is not valid: letters, digits, '.', '_' and '-' are needed, and not 'auto'",
    ),
    "exits": ("exits-early 0.8", "SystemExit: the plugin wants to quit"),
}


@pytest.fixture
def provoking(problem):
    """A problem whose first row provokes the rude unlearners."""
    x = problem.x.clone()
    x[0] = -77.0
    return ValuationProblem(
        problem.model, (x, problem.y), (problem.x_test, problem.y_test), metric="log_likelihood", fit=problem.recipe
    )


def failures():
    return {str(failure.provider): failure.reason for failure in plugins().failures}


# What a good plugin gets.


def test_hook_unshap_unlearners(install, problem):
    """The one hook: what it yields is registered, with its settings, what it declares, and where it comes from."""
    install("good")
    specs = registered_unlearners()
    assert set(specs) == BUILT_IN | {"drift", "fade"}
    drift, fade = specs["drift"], specs["fade"]
    assert (drift.offer.settings, fade.offer.settings) == ({"distance": 0.1}, {"factor": 0.5, "noise": 0.0})
    assert (drift.offer.access, fade.offer.access) == (Access.RETAIN, Access.FORGET)
    assert (drift.offer.batched, fade.offer.batched) == (True, False)
    assert fade.offer.takes == ModelKind.PARAMETERS
    assert not fade.offer.exact
    assert not fade.offer.order_dependent
    assert fade.offer.summary == "Shrinks the parameters."
    assert str(fade.provider) == "good-unlearner 1.2"
    assert fade.provider.entry_point == "methods"
    assert not vars(fade.offer).keys() & {"provider", "distribution"}, "provenance is kept beside the record"
    given = problem.engine.flatten(problem.engine.stack(1))[0]
    nobody = np.zeros((1, problem.n_players), dtype=bool)
    models = resolve_unlearner("fade", {"factor": 0.25}).unlearn(problem, nobody, 0)
    torch.testing.assert_close(problem.engine.flatten(models.state)[0], 0.25 * given, atol=0, rtol=0)
    models = resolve_unlearner("good-unlearner:drift", {"distance": 2.0}).unlearn(problem, nobody, 0)
    torch.testing.assert_close(problem.engine.flatten(models.state)[0], given + 2, atol=0, rtol=0)


def test_results_name_the_plugin_and_its_version(install, problem):
    install("good")
    result = shapley_values(UnlearningGame(problem, "fade", factor=0.9), budget=200)
    assert result.versions["good-unlearner"] == "1.2"
    assert result.unlearner == "fade"
    assert dict(result.settings) == {"factor": 0.9, "noise": 0.0}


def test_a_function_is_seeded_by_the_coalition(install, problem):
    install("good")
    matrix = coalitions(7, problem.n_players)
    settings = {"noise": 0.1}
    values = UnlearningGame(problem, "fade", **settings)(matrix)
    assert np.array_equal(values[::-1], UnlearningGame(problem, "fade", **settings, chunk=2)(matrix[::-1]))
    assert not np.array_equal(values, UnlearningGame(problem, "fade", **settings, seed=1)(matrix))


def test_a_plugins_unlearner_works_on_the_command_line(install, tmp_path, monkeypatch, capsys):
    install("good")
    monkeypatch.chdir(tmp_path)
    assert main(["value", "--example", "iris", "--unlearner", "drift", "--budget", "1000"]) == 0
    assert "unlearner    drift" in capsys.readouterr().out
    versions = json.loads(Path("values/result.json").read_text())["versions"]
    assert versions["good-unlearner"] == "1.2"


def test_a_plugins_unlearner_works_in_opendataval(install):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    from opendataval.dataloader import DataFetcher
    from opendataval.model import LogisticRegression
    from unshap_opendataval import UnlearningShapley

    install("good")
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[(x[:, 0] > 0).astype(int)]
    fetcher = DataFetcher.from_data_splits(x[:20], y[:20], x[20:25], y[20:25], x[25:], y[25:], True)
    evaluator = UnlearningShapley("drift", settings={"distance": 0.5}, budget=200, random_state=0)
    evaluator.train(fetcher, LogisticRegression(3, 2), "accuracy", epochs=2)
    assert evaluator.evaluate_data_values().shape == (20,)
    assert evaluator.result.versions["good-unlearner"] == "1.2"


# Broken plugins are reported and skipped; everyone else keeps working.


@pytest.mark.parametrize("folder", BROKEN)
def test_a_broken_plugin_is_reported_and_skipped(install, folder, caplog):
    install("good", folder)
    with caplog.at_level(logging.WARNING):
        assert set(registered_unlearners()) == BUILT_IN | {"drift", "fade"}
    who, why = BROKEN[folder]
    assert failures() == {who: why}
    assert f"plugin {who} (entry point 'methods') was skipped: {why}" in caplog.text


def test_all_broken_plugins_together(install, problem):
    install("good", *BROKEN)
    assert failures() == dict(BROKEN.values())
    assert np.isfinite(UnlearningGame(problem, "drift")(coalitions(3, problem.n_players))).all()
    with pytest.raises(UnknownNameError) as caught:
        UnlearningGame(problem, "driff")
    message = str(caught.value)
    assert message.startswith(
        "unknown unlearner 'driff' (did you mean 'drift'?); expected one of: anchored, auto, drift, fade, "
    )
    assert "these plugins could not be loaded: broken-import 0.3 (ModuleNotFoundError: " in message


FUNCTION = """
from unshap_plugin.plugin import *
def nothing(model, forget{}):
    'Forgets nothing.'
    return model
class Plain(Unlearner):
    name = 'x'
    def __init__(self, level):
        self.level = level
    def _unlearn(self, problem, coalitions, seed):
        return None
class Loud(Plain):
    def __init__(self, level=1):
        raise RuntimeError('refuses its own defaults')
@hookimpl
def unshap_unlearners():
    {}
"""
SPEC = "UnlearnerSpec.from_function(nothing, source='A test'{})"


@pytest.mark.parametrize(
    ("signature", "body", "why"),
    [
        ("", "return " + SPEC.format(""), "returned a UnlearnerSpec, but UnlearnerSpec objects are needed: yield them"),
        ("", "pass", "unshap_unlearners returned None, but UnlearnerSpec objects are needed: yield them"),
        ("", "return 'nothing'", "unshap_unlearners returned a str, but UnlearnerSpec objects are needed: yield them"),
        ("", f"yield {SPEC.format('')}; yield {SPEC.format('')}", "it offers unlearner 'nothing' twice"),
        ("", "yield " + SPEC.format(", name='auto'"), "unlearner name 'auto' is not valid"),
        ("", "yield " + SPEC.format(", name='a:b'"), "unlearner name 'a:b' is not valid"),
        (
            "",
            "yield " + SPEC.format(", summary='two\\nlines'"),
            "the summary of unlearner 'nothing' is 'two\\nlines', but",
        ),
        ("", "yield UnlearnerSpec('x', dict, 'A summary.', 'A test')", "ValueError: no signature found for builtin"),
        (
            "",
            "yield UnlearnerSpec('x', lambda: 1, 'A summary.', 'A test')",
            "the factory of unlearner 'x' returned a int",
        ),
        (
            "",
            "yield UnlearnerSpec('x', lambda **k: 1, 'A summary.', 'A test')",
            "unlearner 'x' takes the variadic keyword argument **k, but settings are given by name",
        ),
        (
            "",
            "yield UnlearnerSpec('x', lambda a=1, /: 1, 'A summary.', 'A test')",
            "unlearner 'x' takes the positional-only argument a=1, but settings are given by name",
        ),
        ("", "yield " + SPEC.format(", summary='an escape \x1b'"), "but one line of text is needed"),
        (
            "",
            "yield UnlearnerSpec('x', lambda level=1: Plain(level), 'A summary.', 'A test')",
            "says that its settings are [], but its factory takes ['level']: make it a data class, or state",
        ),
        (
            "",
            "yield UnlearnerSpec('x', Loud, 'A summary.', 'A test')",
            "RuntimeError: refuses its own defaults",
        ),
        (
            "",
            "yield UnlearnerSpec('x', lambda a: 1, 'A summary.', 'A test')",
            "setting 'a' of unlearner 'x' has no default, but all need one",
        ),
        (
            "",
            "import unshap_plugin.unlearners as u\n    yield UnlearnerSpec('x', u.FineTune, 'A summary.', 'A test')",
            "unlearner 'x' calls itself 'finetune', but one name is needed",
        ),
        ("", "yield " + SPEC.format(", takes='all'"), "takes of unlearner 'nothing' is 'all', but ModelKind is needed"),
        (
            ", *, steps",
            "yield " + SPEC.format(""),
            "argument 'steps' of 'nothing' has no default, which a setting needs, and is none of those that a",
        ),
        (
            ", **settings",
            "yield " + SPEC.format(""),
            "nothing takes the variadic keyword argument **settings, but arguments are given by name",
        ),
        (
            ", *, steps=1",
            "yield " + SPEC.format(", batched=lambda problem, coalitions, seed: None"),
            "the batched function of 'nothing' has the settings [], but those of the function for one coalition are "
            "needed: ['steps']",
        ),
        ("", "yield " + SPEC.format(", batched=len"), "len takes the positional-only argument obj, but arguments are"),
        (
            ", reatin",
            "yield " + SPEC.format(""),
            "is none of those that a function is given (did you mean 'retain'?): model,",
        ),
        (
            ", *, name='x'",
            "yield " + SPEC.format(""),
            "setting 'name' of 'nothing' is called like something that every",
        ),
        *(
            (
                f", *, {name}=1",
                "yield " + SPEC.format(""),
                f"setting {name!r} of unlearner 'nothing' is called like an argument of UnlearningGame",
            )
            for name in RESERVED
        ),
        (
            ", *, log=__import__('threading').Lock()",
            "yield " + SPEC.format(""),
            "the default of setting 'log' of 'nothing' is a lock, which cannot be copied (cannot pickle",
        ),
        ("", "yield " + SPEC.format(", batched=[]"), "[] cannot be hashed, but functions and texts that can be are"),
    ],
)
def test_what_cannot_be_registered_says_why(offer, signature, body, why):
    offer(FUNCTION.format(signature, body))
    assert set(registered_unlearners()) == BUILT_IN
    assert list(failures()) == ["made-up 9.9"]
    assert why in failures()["made-up 9.9"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", "Odd, which cannot be printed"),
        ("class Quit(BaseException): pass\nraise Quit('now')", "Quit: now"),
        (
            "from unshap_plugin.plugin import hookimpl\n@hookimpl(optionalhook=True)\ndef unshap_unlerners(): yield",
            "it implements the hook 'unshap_unlerners', which does not exist (did you mean 'unshap_unlearners'?)",
        ),
        (
            "from unshap_plugin.plugin import hookimpl\n@hookimpl(hookwrapper=True)\ndef unshap_unlearners(): yield",
            "its unshap_unlearners is a hook wrapper, but there is nothing to wrap: yield what it offers",
        ),
    ],
)
def test_odd_modules_are_one_failure(offer, source, why):
    offer(source)
    assert set(registered_unlearners()) == BUILT_IN
    assert failures()["made-up 9.9"].startswith(why)


def test_what_a_module_does_on_the_side_while_it_is_imported_does_no_harm(offer, capsys):
    """It prints, seeds, puts something on the path, and asks for the unlearners that it is one of."""
    offer(
        "import sys, torch, numpy\nfrom unshap_plugin.plugins.registry import registered_unlearners\n"
        "print('hello'); torch.manual_seed(1); numpy.random.seed(1); sys.path.insert(0, '/nowhere')\n"
        f"assert set(registered_unlearners()) == {BUILT_IN}\n" + FUNCTION.format("", "yield " + SPEC.format(""))
    )
    before, path = (torch.get_rng_state(), np.random.get_state()[1].copy()), list(sys.path)
    try:
        assert main(["unlearners", "--json"]) == 0
        assert plugins() is plugins()
    finally:
        sys.path[:] = path
    assert "nothing" in [one["name"] for one in json.loads(capsys.readouterr().out)["unlearners"]]
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert failures() == {}


def test_a_distribution_without_a_name_is_one_failure(offer, tmp_path):
    offer(FUNCTION.format("", "yield " + SPEC.format("")))
    [path] = tmp_path.glob("*.dist-info/METADATA")
    path.write_text("Metadata-Version: 2.1\nVersion: 3\n")
    assert set(registered_unlearners()) == BUILT_IN
    assert failures() == {"(no name) 3": "its metadata has no name"}


def test_of_two_versions_the_first_on_the_path_counts(install, tmp_path):
    info = tmp_path / "good_unlearner-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Good.Unlearner\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[unshap_plugin]\nold = good_unlearner\n")
    install(tmp_path, "good")
    assert str(find_unlearner("drift").provider) == "good-unlearner 1.2"
    assert failures() == {}
    install(tmp_path)
    assert str(find_unlearner("good_unlearner:drift").provider) == "Good.Unlearner 0.1"


def test_a_module_without_hooks_says_so(offer):
    offer("def unshap_unlearners():\n    return []\n")  # not marked
    assert failures() == {
        "made-up 9.9": "it implements no hook; the hooks are: unshap_estimators, unshap_metrics, unshap_unlearners "
        "(marked with hookimpl)"
    }


@pytest.mark.parametrize("content", [b"[unshap_plugin]\nno equals sign\n", b"[unshap_plugin]\nx = \xff\xfe\n"])
def test_entry_points_that_cannot_be_read_are_one_failure(offer, install, tmp_path, content):
    offer("")
    [path] = tmp_path.glob("*.dist-info/entry_points.txt")
    path.write_bytes(content)
    install("good")
    assert set(registered_unlearners()) == BUILT_IN | {"drift", "fade"}
    assert list(failures()) == ["made-up 9.9"]


# Names that several offer.


def test_two_distributions_with_one_entry_point_name_are_both_there(install):
    install("same_entry_a", "same_entry_b")
    specs = registered_unlearners()
    assert set(specs) == BUILT_IN | {"alpha", "beta"}
    assert {str(specs[name].provider) for name in ("alpha", "beta")} == {"same-entry-a 1.0", "same-entry-b 1.1"}
    assert {specs[name].provider.entry_point for name in ("alpha", "beta")} == {"unlearners"}
    assert failures() == {}


def test_a_name_of_two_distributions_names_both_and_has_to_be_chosen(install, caplog):
    install("twin_b", "twin_a")
    with caplog.at_level(logging.WARNING):
        assert set(registered_unlearners()) == BUILT_IN | {"twin-a:twin", "twin-b:twin"}
    assert "unlearner 'twin' is offered by twin-a 3.0 and by twin-b 3.1" in caplog.text
    with pytest.raises(InvalidValueError) as caught:
        resolve_unlearner("twin")
    assert str(caught.value) == (
        "unlearner 'twin' is offered by twin-a 3.0 and by twin-b 3.1: say which one, as 'twin-a:twin' or 'twin-b:twin'."
    )
    assert resolve_unlearner("twin-a:twin").settings == {"factor": 0.5}
    assert resolve_unlearner("twin_b:twin").settings == {"factor": 0.25}, "distributions are compared as pip does"


def test_the_name_of_a_built_in_has_to_be_chosen_but_auto_stays_as_it_is(install, problem):
    install("shadow")
    with pytest.raises(InvalidValueError) as caught:
        UnlearningGame(problem, "newton")
    assert "unlearner 'newton' is offered by unshap-plugin 0.1.0 and by shadow-newton 2.0" in str(caught.value)
    assert "'unshap-plugin:newton' or 'shadow-newton:newton'" in str(caught.value)
    assert resolve_unlearner("shadow-newton:newton").source == "A test"
    assert str(find_unlearner("unshadowed").provider) == "shadow-newton 2.0"
    assert str(UnlearningGame(problem).provider) == "unshap-plugin 0.1.0"
    assert UnlearningGame(problem).unlearner == resolve_unlearner("unshap-plugin:newton")


def test_one_distribution_with_a_name_at_two_entry_points_keeps_the_first(offer, tmp_path):
    offer(FUNCTION.format("", "yield " + SPEC.format("")))
    [path] = tmp_path.glob("*.dist-info/entry_points.txt")
    path.write_text(path.read_text() + path.read_text().splitlines()[1].replace("all", "more") + "\n")
    assert set(registered_unlearners()) == BUILT_IN | {"nothing"}
    assert failures() == {"made-up 9.9": "unlearner 'nothing' is offered by another entry point of made-up 9.9 too"}


# What is loaded, and when.


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        ("", set()),
        ("good-unlearner", {"drift", "fade"}),
        ("Good_Unlearner", {"drift", "fade"}),
        ("twin-a, same-entry-a", {"twin", "alpha"}),
        ("unshap-plugin", set()),
    ],
)
def test_the_environment_restricts_what_is_loaded(install, monkeypatch, variable, names):
    install("good", "twin_a", "same_entry_a", *BROKEN)
    monkeypatch.setenv("UNSHAP_PLUGINS", variable)
    assert set(registered_unlearners()) == BUILT_IN | names
    assert failures() == {}


def test_a_plugin_that_is_asked_for_but_not_there_is_reported(install, monkeypatch):
    install("good")
    monkeypatch.setenv("UNSHAP_PLUGINS", "good-unlerner")
    assert failures() == {
        "good-unlerner": "UNSHAP_PLUGINS names it, but no plugin of that name is installed "
        "(did you mean 'good-unlearner'?)"
    }


def test_importing_looks_for_no_plugin_and_asking_for_one_unlearner_does(tmp_path):
    """With twenty broken plugins installed, importing runs none of their code, and does not even look for them."""
    for k in range(20):
        info = tmp_path / f"broken_{k}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{k}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[unshap_plugin]\nx = broken_{k}\n")
        (tmp_path / f"broken_{k}.py").write_text("import time\ntime.sleep(0.01)\nraise RuntimeError('broken')\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import unshap_plugin, unshap_plugin.cli.main
from unshap_plugin.plugins.manager import _loaded, plugins
from unshap_plugin.plugins.registry import resolve_unlearner
print([name for name in sys.modules if name.startswith("broken_")], len(_loaded))
print(resolve_unlearner("finetune").name, len(plugins().failures))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split("\n")[:2] == ["[] 0", "finetune 20"]
    assert out.stderr.count("was skipped: RuntimeError: broken") == 20


# At the boundary: contracts 3 and 5.


FULL = "the model that it was given"


def generators():
    return torch.get_rng_state().numpy(), np.random.get_state()[1], np.array(random.getstate()[1])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("mutates", f"changed '0.weight' of {FULL}: work on copy.deepcopy(model)"),
        ("trains", f"changed the mode of {FULL}"),
        ("returns_none", "returned None instead of the unlearned model: return a torch module"),
        ("rebuilds", "another architecture (layer '0' is Linear(in_features=6, out_features=5, bias=True) instead of"),
        ("reshapes", "another architecture (layer '0' is Linear(in_features=6, out_features=3, bias=True) instead of"),
        (
            "halves_the_bits",
            "another architecture ('0.weight' is [2, 6] torch.float32 on cpu instead of [2, 6] torch.fl",
        ),
        ("careless", f"changed '0.weight' of {FULL}: work on a copy"),
        ("short", "returned 2 models for 1 coalitions: return one for each"),
        ("flat", "another architecture ('0.weight' is [1, 12] torch.float64 on cpu instead of [1, 2, 6] torch.float64"),
        ("nothing", "returned None instead of unlearned models: return StackedModels"),
        ("freezes", f"changed requires_grad of '0.weight' of {FULL}"),
        ("leaves_gradients", f"changed the gradient of '0.weight' of {FULL}"),
        ("listens", f"changed the layers of {FULL}"),
        ("fails_after_changing", f"changed '0.weight' of {FULL}, and failed with ArithmeticError: too late"),
        ("replaces", f"changed '0.weight' of {FULL}: work on a copy"),
        ("changes_rows", "changed the data of the problem: work on copies, and make the problem anew"),
        ("draws", "drew from the global random generator of torch: draw from one that coalition_seed seeds"),
        ("draws_numpy", "drew from the global random generator of numpy"),
        ("draws_python", "drew from the global random generator of random"),
        ("another_engine", "returned models of another engine than problem.engine: use that of the problem"),
        ("wide", "gave outputs [1, 60, 7], but [1, 60, 2] are needed"),
        ("names_wrongly", "returned a model of another architecture ('0.wait' is unknown): keep the given names"),
        ("misses", "returned a model of another architecture ('0.bias' is missing): keep the given names"),
        ("no_dict", "returned something else for the parameters than a dict from their names to tensors"),
        ("lists", "returned a ModelList for a torch module, but StackedModels are needed for these"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "exclude"])
def test_a_broken_contract_names_plugin_and_coalition_whatever_the_policy(install, provoking, name, what, on_error):
    install("rude")
    given, states = provoking.engine.flatten(provoking.engine.stack(1)).clone(), generators()
    before = UnlearningGame(provoking, "newton")(coalitions(4, 40))
    matrix = np.ones((4, 40), dtype=bool)
    matrix[1, 0] = matrix[2, 5] = matrix[3, 6] = False
    with pytest.raises(ContractError) as caught:
        UnlearningGame(provoking, name, on_error=on_error)(matrix[1:] if name == "nothing" else matrix)
    assert all(np.array_equal(a, b) for a, b in zip(generators(), states, strict=True))
    message = str(caught.value)
    assert message.startswith(f"unlearner '{name}' of rude-unlearners 6.6 (no settings) ")
    assert what in message
    assert "(for the coalition that keeps 39 of 40 players (1, 2, 3, 4, 5, 6, ...))" in message
    # The problem can be used as if nothing had happened.
    assert torch.equal(provoking.engine.flatten(provoking.engine.stack(1)), given)
    assert not provoking.model.training
    assert np.array_equal(UnlearningGame(provoking, "newton")(coalitions(4, 40)), before)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("explodes", "not finite"),
        ("fails", "ArithmeticError: cannot forget this"),
        ("quits", "SystemExit: 0"),
        ("refuses_late", "InvalidValueError: not these rows"),
        ("starves", "MemoryError: never enough"),
    ],
)
def test_a_failure_names_plugin_and_coalition_and_can_be_excluded(install, provoking, name, what):
    install("rude")
    matrix = np.ones((2, 40), dtype=bool)
    matrix[0, 0] = matrix[1, 5] = False
    with pytest.raises(DivergenceError) as caught:
        UnlearningGame(provoking, name)(matrix)
    message = str(caught.value)
    assert message.startswith(f"unlearner '{name}' of rude-unlearners 6.6 (no settings) ")
    assert what in message
    assert "the coalition that keeps 39 of 40 players (1, 2, 3," in message
    if name == "fails":
        trace = "".join(traceback.format_exception(caught.value.__cause__))
        assert "in fails" in trace, "the plugin's own traceback is the cause"
        assert "rude_unlearners.py" in trace
    game = UnlearningGame(provoking, name, on_error="exclude")
    assert np.isnan(game(matrix)).tolist() == [True, False]
    assert game.excluded == 1


def test_a_method_that_fails_only_for_many_at_once_is_an_error(install, provoking):
    install("rude")
    game = UnlearningGame(provoking, "crowded")
    assert np.isfinite(game(coalitions(1, 40))).all()
    with pytest.raises(
        ContractError, match=r"OverflowError: too many \(for 5 coalitions at once, but for none of them"
    ):
        game(coalitions(5, 40, seed=1))


def test_errors_outside_of_unlearning_name_the_plugin_too(install, provoking):
    install("rude")
    with pytest.raises(PluginError) as caught:
        UnlearningGame(provoking, "picky")
    assert str(caught.value).startswith("unlearner 'picky' of rude-unlearners 6.6 failed when it was asked whether")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(
        PluginError, match=r"'picky' of rude-unlearners 6.6 cannot be made with the settings {'level': 5}"
    ):
        resolve_unlearner("picky", {"level": 5})
    with pytest.raises(
        InvalidValueError, match=r"'picky' has no setting 'levle' \(did you mean 'level'\?\); it has: level"
    ):
        UnlearningGame(provoking, "picky", levle=5)
    # Nor does it spoil the advice about another unlearner.
    data = (provoking.x, provoking.y), (provoking.x_test, provoking.y_test)
    partial = ValuationProblem(provoking.model, *data, access="partial")
    with pytest.raises(Exception, match=r"unlearners that would work: .*gradient_ascent.*, mutates, "):
        UnlearningGame(partial, "newton")


def test_dependence_on_the_order_is_marked(install, provoking):
    install("rude")
    with pytest.warns(
        UserWarning, match="'chained' of rude-unlearners 6.6 depends on the order in which coalitions come"
    ):
        game = UnlearningGame(provoking, "chained")
    matrix = coalitions(4, 40)
    with pytest.warns(UserWarning, match="depends on the order"):
        other = UnlearningGame(provoking, "chained")
    assert not np.array_equal(game(matrix), other(matrix[::-1])[::-1])


# Functions.


def test_functions_see_what_they_ask_for_and_nothing_else(problem):
    """Whatever the order of their arguments is, and of which kind they are."""
    seen = []

    def forgets(loss, model, forget, *, steps=2):
        seen.append((forget, loss, steps, model.training, torch.is_grad_enabled()))
        return model

    def retains(generator, retain, model=None):
        seen.append((retain, float(torch.rand(1, generator=generator))))
        return model

    def sees_all(model, reference, retain, steps=3, forget=None):
        seen.append((reference, retain, forget, steps))
        return model

    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    with_reference = ValuationProblem(problem.model, *data, reference=problem.x_test[:3] + 0.5)
    keep = np.ones((1, 40), dtype=bool)
    keep[0, [3, 7]] = False
    others = [i for i in range(40) if i not in (3, 7)]
    for function, needs, settings in (
        (forgets, Access.FORGET, {"steps": 2}),
        (retains, Access.RETAIN, {}),
        (sees_all, Access.FORGET | Access.RETAIN | Access.REFERENCE, {"steps": 3}),
    ):
        spec = UnlearnerSpec.from_function(function, summary="Looks.", source="A test")
        assert (spec.access, spec.settings, spec.batched) == (needs, settings, False)
        unlearner = spec.make()
        with torch.no_grad():
            unlearner.unlearn(with_reference, keep, 0)
            unlearner.unlearn(with_reference, ~np.zeros((1, 40), dtype=bool), 0)  # nothing to forget: not asked
    first, second, third = seen
    assert torch.equal(first[0][0], problem.x[[3, 7]])
    assert torch.equal(first[0][1], problem.y[[3, 7]])
    assert first[1] is problem.loss
    assert first[2:] == (2, False, True)
    assert torch.equal(second[0][0], problem.x[others])
    assert second[1] == float(torch.rand(1, generator=torch.Generator().manual_seed(coalition_seed(0, keep[0]))))
    assert torch.equal(third[0][0], problem.x_test[:3] + 0.5)
    assert third[0][1] is None
    assert torch.equal(third[1][0], problem.x[others])
    assert torch.equal(third[2][0], problem.x[[3, 7]])
    assert third[3] == 3


def test_a_function_makes_a_class(problem):
    """A frozen data class, whose fields are the settings; one and the same for the same function."""

    def shift(model, *, by=0.5):
        """Shifts the biases."""
        model = copy.deepcopy(model)
        with torch.no_grad():
            model[0].bias += by
        return model

    spec = UnlearnerSpec.from_function(shift, source="A test")
    kind = spec.factory
    assert issubclass(kind, Unlearner)
    assert dataclasses.is_dataclass(kind)
    assert UnlearnerSpec.from_function(shift, source="A test").factory is kind
    assert (kind.name, kind.summary, kind.source, kind.needs) == (
        "shift",
        "Shifts the biases.",
        "A test",
        Access.FORGET,
    )
    assert kind(by=2.0) == spec.make(by=2.0) != spec.make()
    assert repr(kind(by=2.0)) == "shift(by=2.0)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().by = 3.0
    nobody = np.zeros((1, problem.n_players), dtype=bool)
    models = kind(by=2.0).unlearn(problem, nobody, 0)
    torch.testing.assert_close(models.state["0.bias"][0], problem.model[0].bias.detach() + 2, atol=0, rtol=0)


def test_functions_can_take_objects_with_fit_and_predict(problem):
    from sklearn.base import clone
    from sklearn.kernel_ridge import KernelRidge

    x, y = problem.x.numpy(), problem.y.numpy().astype(float)
    ridge = KernelRidge(alpha=1.0).fit(x, y)

    def refit(model, retain, *, alpha=1.0):
        """Fits anew."""
        assert isinstance(retain[0], np.ndarray)
        return clone(model).set_params(alpha=alpha).fit(*retain)

    data = {"train": (x, y), "test": (x, y), "metric": "r2"}
    spec = UnlearnerSpec.from_function(refit, source="A test", takes=ModelKind.FIT_PREDICT, exact=True)
    assert spec.exact
    matrix = coalitions(5, 40)
    matrix = matrix[matrix.any(axis=1)]
    ours = UnlearningGame(ValuationProblem(ridge, **data), spec.make())(matrix)
    np.testing.assert_allclose(ours, UnlearningGame(ValuationProblem(ridge, **data), "retrain")(matrix), atol=1e-12)
    with pytest.raises(
        Exception, match="'refit' takes objects with fit and predict, but Sequential is not one of these"
    ):
        UnlearningGame(early_stopped(), spec.make())
    nothing = UnlearnerSpec.from_function(lambda model: None, name="n", source="s", takes=ModelKind.FIT_PREDICT)
    with pytest.raises(
        ContractError, match="returned None instead of the unlearned model: return an object with predict"
    ):
        UnlearningGame(ValuationProblem(ridge, **data), nothing.make())(~matrix[:1])


def test_buffers_that_a_function_changes_count(problem):
    """Batch norm in evaluation mode has its statistics in buffers."""
    module = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2)).double()
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    other = ValuationProblem(module, *data, metric="log_likelihood")

    def restart(model):
        import copy

        model = copy.deepcopy(model)
        model[1].running_mean += 1.0
        return model

    keep = np.ones((2, 40), dtype=bool)
    keep[1, 0] = False
    models = UnlearnerSpec.from_function(restart, source="A test").make().unlearn(other, keep, 0)
    shifted = restart(other.model)
    torch.testing.assert_close(models.outputs(other.x_test)[1], shifted(other.x_test).detach())
    torch.testing.assert_close(models.outputs(other.x_test)[0], other.model(other.x_test).detach())


def test_the_names_that_settings_cannot_have_are_the_arguments_of_a_game():
    *named, settings = list(inspect.signature(UnlearningGame).parameters.values())
    assert [parameter.name for parameter in named] == list(RESERVED)
    assert settings.kind is settings.VAR_KEYWORD


class Cautious:
    """A method of an object."""

    strength = 2.0

    def shift(self, model, *, by=0.5):
        """Shifts the biases.

        By as much as it is told.
        """
        model = copy.deepcopy(model)
        with torch.no_grad():
            model[0].bias += by * self.strength
        return model

    def __call__(self, model):
        return self.shift(model)


def test_any_callable_with_a_signature_is_a_function(problem):
    nobody = np.zeros((1, problem.n_players), dtype=bool)
    method = Cautious().shift
    for function, by in ((method, 1.0), (functools.partial(method, by=2.0), 4.0), (Cautious(), 1.0)):
        spec = UnlearnerSpec.from_function(function, name="any", summary="Any.", source="A test")
        models = spec.make().unlearn(problem, nobody, 0)
        expected = problem.model[0].bias.detach() + by
        torch.testing.assert_close(models.state["0.bias"][0], expected, atol=0, rtol=0)
    spec = UnlearnerSpec.from_function(method, source="A test")
    assert (spec.name, spec.summary) == ("shift", "Shifts the biases.")
    loose = type("Loose", (Cautious,), {"__hash__": None})()
    with pytest.raises(
        InvalidTypeError, match=r"Loose object at \w+> cannot be hashed, but functions and texts that can"
    ):
        UnlearnerSpec.from_function(loose, name="loose", summary="Loose.", source="A test")


def test_a_number_for_a_truth_value_does_not_stay_behind():
    def keep(model):
        """Keeps."""

    assert UnlearnerSpec.from_function(keep, source="A test", exact=1).exact is not True
    assert UnlearnerSpec.from_function(keep, source="A test", exact=True).exact is True


def test_a_method_that_changes_the_coalitions_is_refused_and_they_are_put_back(problem):
    """Else any could be taken for the one that keeps everybody, whose model is the given one."""

    def many(problem, coalitions):
        coalitions[:] = True
        return problem.engine.stack(len(coalitions))

    spec = UnlearnerSpec.from_function(lambda model: model, name="n", summary="s", source="s", batched=many)
    matrix = np.zeros((2, problem.n_players), dtype=bool)
    with pytest.raises(ContractError, match="changed the coalitions that it was given: work on a copy"):
        spec.make().unlearn(problem, matrix, 0)
    assert not matrix.any()


def test_a_method_that_sets_something_of_the_problem_is_refused_and_undone(problem):
    def many(problem, coalitions):
        problem.y_test = 1 - problem.y_test
        return problem.engine.stack(len(coalitions))

    spec = UnlearnerSpec.from_function(lambda model: model, name="n", summary="s", source="s", batched=many)
    tested = problem.y_test
    with pytest.raises(ContractError, match="set y_test of the problem to something else: keep that to itself"):
        spec.make().unlearn(problem, np.zeros((1, problem.n_players), dtype=bool), 0)
    assert problem.y_test is tested


def test_functions_need_a_signature():
    with pytest.raises(InvalidTypeError, match=r"3 is no function with a signature, but one whose arguments are"):
        UnlearnerSpec.from_function(3, source="A test")


# The list.


def test_the_list_as_text(install, capsys):
    install("good", "twin_a", "twin_b", "import_error")
    assert main(["unlearners"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["name", "access", "exact", "batching", "provider", "summary"]
    lines = {line.split()[0]: line for line in out if line}
    assert lines["retrain"].split()[1:6] == ["retain", "yes", "batched", "unshap-plugin", "0.1.0"]
    assert lines["fade"].split()[1:] == [
        *["forget", "no", "one", "by", "one", "good-unlearner", "1.2", "Shrinks", "the", "parameters."]
    ]
    assert {"twin-a:twin", "twin-b:twin"} <= set(lines)
    assert any("'twin' is offered by twin-a 3.0 and by twin-b 3.1: say which one, as 'twin-a:twin'" in o for o in out)
    assert "  broken-import 0.3 (entry point 'methods'): ModuleNotFoundError: No module named" in "\n".join(out)


def test_the_list_as_data(install, capsys):
    install("good", "twin_a", "twin_b", *BROKEN)
    assert main(["unlearners", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"unlearners", "conflicts", "failed"}
    by_name = {one["name"]: one for one in data["unlearners"]}
    assert by_name["fade"] == {
        "name": "fade",
        "summary": "Shrinks the parameters.",
        "source": "A test",
        "access": ["forget"],
        "stored": None,
        "models": ["parameters"],
        "exact": False,
        "order_dependent": False,
        "batched": False,
        "settings": {"factor": 0.5, "noise": 0.0},
        "provider": {"distribution": "good-unlearner", "version": "1.2", "entry_point": "methods"},
    }
    [conflict] = data["conflicts"]
    assert conflict["name"] == "twin"
    assert [one["distribution"] for one in conflict["providers"]] == ["twin-a", "twin-b"]
    assert conflict["choose"] == ["twin-a:twin", "twin-b:twin"]
    failed = {f"{one['distribution']} {one['version']}": one["reason"] for one in data["failed"]}
    assert failed == dict(BROKEN.values())


def test_one_in_full(install, capsys):
    install("good")
    assert main(["unlearners", "drift"]) == 0
    out = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert out["provider"] == "good-unlearner 1.2 (entry point 'methods')"
    assert out["settings"] == "distance=0.1"
    assert out["models"] == "torch modules with trainable parameters"
    assert main(["unlearners", "good-unlearner:drift", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == {"distance": 0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unlearners", "drfit"], "unknown unlearner 'drfit' (did you mean 'drift'?)"),
        (["unlearners", "twin"], "unlearner 'twin' is offered by twin-a 3.0 and by twin-b 3.1: say which one"),
        (["unlearners", "auto"], "'auto' is no unlearner, but a choice among the built-in ones"),
        (["value", "--example", "iris", "--unlearner", "twin"], "say which one, as 'twin-a:twin' or 'twin-b:twin'."),
    ],
)
def test_errors_of_the_command_are_one_sentence(install, capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    install("good", "twin_a", "twin_b")
    assert main(arguments) == 2
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if line.startswith("unshap: error: ")]
    assert message in line
    assert list(tmp_path.iterdir()) == []


# Documentation.


def hooks():
    return [name for name, value in vars(hookspecs).items() if hasattr(value, "unshap_plugin_spec")]


def test_every_hook_has_a_test_and_stands_in_the_documentation():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert hooks() == ["unshap_unlearners", "unshap_estimators", "unshap_metrics"]
    for hook in hooks():
        assert f"\ndef test_hook_{hook}(" in tests
        assert f"`{hook}`" in guide
        assert ">>>" in getattr(hookspecs, hook).__doc__


def test_a_spec_of_a_class_reads_its_declarations():
    spec = UnlearnerSpec("finetune", FineTune, "A summary.", "A test")
    assert (spec.access, spec.exact, spec.order_dependent, spec.batched) == (Access.RETAIN, False, False, True)
    assert hookimpl is hookspecs.hookimpl


# What the boundary costs nobody.


def test_an_instance_carries_the_provenance_of_its_class(install, provoking):
    install("rude", "good")
    matrix = np.ones((1, 40), dtype=bool)
    matrix[0, 0] = False
    with pytest.raises(ContractError, match=r"unlearner 'careless' of rude-unlearners 6.6 \(no settings\) changed"):
        UnlearningGame(provoking, resolve_unlearner("careless"))(matrix)
    with pytest.raises(DivergenceError, match=r"unlearner 'fails' of rude-unlearners 6.6"):
        UnlearningGame(provoking, resolve_unlearner("fails"))(matrix)
    fade = resolve_unlearner("fade", {"factor": 0.9})
    assert shapley_values(UnlearningGame(provoking, fade), budget=200).versions["good-unlearner"] == "1.2"
    assert UnlearningGame(provoking, FineTune(steps=1)).provider.distribution == "unshap-plugin"


def test_a_class_that_fails_to_estimate_its_memory_is_named(install, provoking):
    install("rude")
    with pytest.raises(PluginError, match=r"'hungry' of rude-unlearners 6.6 .* failed when it was asked for"):
        UnlearningGame(provoking, "hungry")


def test_a_method_that_cannot_say_whether_it_works_is_not_advised(install, provoking, caplog):
    install("rude")
    data = (provoking.x, provoking.y), (provoking.x_test, provoking.y_test)
    with pytest.raises(Exception, match="unlearners that would work") as caught, caplog.at_level(logging.WARNING):
        UnlearningGame(ValuationProblem(provoking.model, *data, access="partial"), "newton")
    assert "picky" not in str(caught.value)
    assert "unlearner 'picky' of rude-unlearners 6.6 cannot say whether it would work (ZeroDivisionError: checked" in (
        caplog.text
    )


MEDDLES = """
import random
from unshap_plugin.plugin import *
class Meddles(Unlearner):
    name = 'meddles'
    def _check(self, problem):
        problem.model[0].weight.data.mul_(2)
        random.random()
    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))
@hookimpl
def unshap_unlearners():
    yield UnlearnerSpec('meddles', Meddles, 'Meddles.', 'A test')
"""


def test_a_check_that_meddles_is_named_where_it_is_chosen_and_where_another_one_is_advised(offer, problem, caplog):
    offer(MEDDLES)
    state, drawn = copy.deepcopy(problem.model.state_dict()), random.getstate()
    with pytest.raises(ContractError) as caught:
        UnlearningGame(problem, "meddles")
    meddled = "changed '0.weight' of the model that it was given and drew from the global random generator of random"
    assert str(caught.value).startswith(f"unlearner 'meddles' of made-up 9.9 {meddled}: ")
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    asked = ValuationProblem(problem.model, *data, access="partial")
    with pytest.raises(Exception, match="unlearners that would work: anchored") as caught:
        UnlearningGame(asked, "newton")
    assert "meddles" not in str(caught.value)
    assert "unlearner 'meddles' of made-up 9.9 cannot say whether it would work (ContractError: changed" in caplog.text
    for one in (problem, asked):
        assert all(torch.equal(one.model.state_dict()[name], tensor) for name, tensor in state.items())
    assert random.getstate() == drawn


def test_the_contract_cannot_be_overridden():
    with pytest.raises(InvalidTypeError, match="Sly overrides unlearn, which sees to the contract of all unlearners"):
        type("Sly", (FineTune,), {"unlearn": lambda self, problem, coalitions, seed: None})


def test_an_object_that_an_unlearner_changes_is_put_back(problem):
    from sklearn.kernel_ridge import KernelRidge

    x, y = problem.x.numpy(), problem.y.numpy().astype(float)
    ridge = KernelRidge(alpha=1.0).fit(x, y)
    mine = ValuationProblem(ridge, (x, y), (x, y), metric="r2")

    class Refits(Unlearner):
        name = "refits"
        takes = ModelKind.FIT_PREDICT

        def _unlearn(self, problem, coalitions, seed):
            keep = problem.retained(coalitions)[0].numpy()
            return ModelList(problem, [problem.model.fit(x[keep], y[keep])] * len(coalitions))

    before = UnlearningGame(mine, "retrain")(coalitions(4, 40))
    answers = ridge.predict(x)
    with pytest.raises(ContractError, match=r"unlearner 'refits' .* changed the answers of the model that"):
        UnlearningGame(mine, Refits())(~np.eye(3, 40, dtype=bool))
    assert np.array_equal(UnlearningGame(mine, "retrain")(coalitions(4, 40)), before)
    assert np.array_equal(ridge.predict(x), answers)


def test_an_object_whose_answers_differ_from_call_to_call_is_not_blamed_on_the_unlearner(problem):
    class Dice:
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def fit(self, x, y):
            return self

        def predict(self, x):
            return self.rng.normal(size=len(x))

    x, y = problem.x.numpy(), problem.y.numpy().astype(float)
    values = UnlearningGame(ValuationProblem(Dice(), (x, y), (x, y), metric="r2"), "retrain")(coalitions(4, 40))
    assert np.isfinite(values).all()


def test_the_reference_set_is_a_copy_too(problem):
    def greedy(model, reference):
        """Changes what it was lent."""
        reference[0].add_(1.0)
        model = copy.deepcopy(model)
        with torch.no_grad():
            model[0].bias += reference[0].mean()
        return model

    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    mine = ValuationProblem(problem.model, *data, reference=problem.x_test[:3] + 0.5, metric="log_likelihood")
    unlearner = UnlearnerSpec.from_function(greedy, source="A test").make()
    matrix = coalitions(6, 40)
    first = UnlearningGame(mine, unlearner)(matrix)
    assert np.array_equal(first, UnlearningGame(mine, unlearner)(matrix[::-1])[::-1])


def test_a_function_may_draw_from_the_global_generators(problem):
    def lazy(model):
        """Draws from everywhere."""
        model = copy.deepcopy(model)
        with torch.no_grad():
            model[0].bias += torch.randn(2, dtype=torch.float64) + np.random.normal() + random.random()
        return model

    unlearner = UnlearnerSpec.from_function(lazy, source="A test").make()
    matrix, before = coalitions(6, 40), generators()
    first = UnlearningGame(problem, unlearner)(matrix)
    assert all(np.array_equal(a, b) for a, b in zip(generators(), before, strict=True))
    assert np.array_equal(first, UnlearningGame(problem, unlearner, chunk=2)(matrix[::-1])[::-1])
    assert not np.array_equal(first, UnlearningGame(problem, unlearner, seed=1)(matrix))


def test_buffers_that_are_not_numbers_are_the_same_as_before(problem):
    class Buffered(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = copy.deepcopy(problem.model[0])
            self.register_buffer("unused", torch.full((2,), torch.nan))

        def forward(self, x):
            return self.linear(x)

    mine = ValuationProblem(Buffered(), (problem.x, problem.y), (problem.x_test, problem.y_test))
    unlearner = UnlearnerSpec.from_function(lambda model: copy.deepcopy(model), name="same", source="A test").make()
    assert np.array_equal(UnlearningGame(mine, unlearner)(coalitions(3, 40)), np.repeat(mine.given_utility, 3))


def test_defaults_that_can_be_changed_are_not_shared():
    def logs(model, *, log=[]):  # noqa: B006
        """Keeps a log."""

    spec = UnlearnerSpec.from_function(logs, source="A test")
    spec.make().settings["log"].append(1)
    assert spec.make().settings == {"log": []}


def test_unlearners_made_of_functions_can_be_pickled(install):
    install("good")
    fade = resolve_unlearner("fade", {"factor": 0.25})
    again = pickle.loads(pickle.dumps(fade))
    assert again == fade
    assert (again.name, again.settings) == ("fade", {"factor": 0.25, "noise": 0.0})


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({1: 2}, "have the key 1, but names are needed"),
        ({"self": 1}, "has no setting 'self'"),
        ([1], "settings of unlearner 'newton' are a list, but a dict of names and values is needed"),
    ],
)
def test_settings_have_names_that_exist(settings, why):
    with pytest.raises((InvalidTypeError, InvalidValueError), match=why):
        resolve_unlearner("newton", settings)


# Before any work.


@pytest.mark.parametrize(
    ("unlearner", "settings"), [("finetune", {"stepz": 1}), ("finetune", {"steps": -1}), ("no", {})]
)
def test_names_and_settings_are_checked_before_a_model_is_trained(unlearner, settings, monkeypatch):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    from opendataval.dataloader import DataFetcher
    from opendataval.model import LogisticRegression
    from unshap_opendataval import UnlearningShapley

    monkeypatch.setattr(LogisticRegression, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    x, y = np.zeros((9, 3), dtype=np.float32), np.eye(3, dtype=np.float32)[np.arange(9) % 3]
    fetcher = DataFetcher.from_data_splits(x, y, x, y, x, y, True)
    with pytest.raises((InvalidValueError, UnknownNameError)):
        UnlearningShapley(unlearner, settings=settings).train(fetcher, LogisticRegression(3, 3), "accuracy")


def test_the_command_knows_the_unlearner_before_it_trains(monkeypatch, capsys):
    monkeypatch.setattr("unshap_plugin.cli._data.train_model", lambda *args: pytest.fail("trained"))
    assert main(["value", "--example", "iris", "--unlearner", "nonsense"]) == 2
    assert "unknown unlearner 'nonsense'" in capsys.readouterr().err
