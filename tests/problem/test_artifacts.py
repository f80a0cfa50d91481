"""Artefacts of the full data: methods that use them equal those that see it, and wrong files are refused."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import breast_cancer, coalitions, early_stopped
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts
from unshap_plugin.cli._listing import one_as_text, table
from unshap_plugin.errors import AccessError, ContractError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.rows import row_hashes
from unshap_plugin.plugin import Access, Unlearner
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_unlearner, resolve_unlearner
from unshap_plugin.problem import artifacts
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.second_order.curvature import GeneralCurvature
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.second_order.solvers import solve_damped
from unshap_plugin.unlearners.models import StackedModels
from unshap_plugin.unlearners.stored import quadratic_of

GROUPS = np.array(list("abcde") * 8)
OURS = np.isin(GROUPS, ["a", "c", "d"])
PARTIAL = {"access": "partial", "reference": "test", "groups": GROUPS[OURS]}


def part(problem, stored, rows=OURS, **kwargs):
    """Return the problem of which only some rows are at hand."""
    at_hand = problem.x[torch.as_tensor(rows)], problem.y[torch.as_tensor(rows)]
    kwargs = {**PARTIAL, "groups": GROUPS[rows], "fit": problem.recipe, "artifacts": stored, **kwargs}
    return ValuationProblem(
        problem.model, at_hand, (problem.x_test, problem.y_test), metric=problem.metric.name, **kwargs
    )


def background(problem):
    """Return the problem with all rows, those that are not at hand as background."""
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    kwargs = {"groups": GROUPS, "valued": ["a", "c", "d"], "fit": problem.recipe}
    return ValuationProblem(problem.model, *data, metric=problem.metric.name, **kwargs)


def logistic(dtype=torch.float64, **kwargs):
    return early_stopped(dtype, metric="log_likelihood", **kwargs)


def flat(problem, name, matrix, **chosen):
    models = resolve_unlearner(name, chosen).unlearn(problem, matrix, 0)
    return problem.engine.flatten(models.state)


def every(n):
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


# What is stored is what the full data gives.


@pytest.mark.parametrize("hidden", [0, 4])
def test_the_sums_are_those_over_single_rows(hidden):
    problem = logistic(hidden=hidden)
    engine, stored = problem.engine, compute_artifacts(problem)
    gradients = []
    for x, y in zip(problem.x, problem.y, strict=True):
        outputs = problem.model(x[None])
        parts = torch.autograd.grad(cross_entropy(outputs, y[None])[0], list(problem.model.parameters()))
        gradients.append(torch.cat([p.flatten() for p in parts]))
    gradients = torch.stack(gradients)
    torch.testing.assert_close(stored.gradient, gradients.sum(dim=0), atol=1e-12, rtol=0)
    torch.testing.assert_close(stored.fisher, gradients.square().sum(dim=0), atol=1e-12, rtol=0)
    everything = torch.ones(1, 40, dtype=torch.float64)
    matrix = GeneralCurvature(engine, problem.x, problem.y)(engine.stack(1), everything)[2][0]
    torch.testing.assert_close(stored.hessian, matrix, atol=1e-10, rtol=0)
    assert len(stored) == 40
    assert (stored.has("hessian"), stored.has("fisher"), stored.has("gram")) == (True, True, False)


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("proximal", [None, 0.0, 2.0])
def test_the_stored_expansion_is_that_of_the_objective(hidden, proximal):
    problem = logistic(hidden=hidden)
    engine, x, y = problem.engine, problem.x, problem.y
    losses = LinearHead.of(engine, x, y) or GeneralCurvature(engine, x, y)
    objective = Objective(engine, x, y, losses, problem.recipe)
    fresh, stored = (
        objective.centre(proximal),
        quadratic_of(
            compute_artifacts(problem), objective.given, proximal, linear=isinstance(objective.losses, LinearHead)
        ),
    )
    for name in ("n", "matrix", "diagonal", "correction", "init"):
        torch.testing.assert_close(getattr(stored, name), getattr(fresh, name), atol=1e-9, rtol=1e-9)


# Methods that use them equal those that see all rows.


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("proximal", [None, 2.0])
def test_newton_is_one_step_with_all_rows(hidden, dtype, proximal):
    """The slow twin takes the step from the objective of the retained rows, background included."""
    problem = logistic(dtype, hidden=hidden)
    matrix = every(3)[:-1]
    got = flat(part(problem, compute_artifacts(problem)), "newton", matrix, proximal=proximal)
    whole = background(problem)
    engine = whole.engine
    losses = LinearHead.of(engine, whole.x, whole.y) or GeneralCurvature(engine, whole.x, whole.y)
    objective = Objective(engine, whole.x, whole.y, losses, whole.recipe)
    objective.centre(proximal)
    weights = whole.retained(matrix).to(dtype)
    _, _, direction = objective.expand(objective.given.expand(len(matrix), -1), weights)
    tolerance = 1e-9 if dtype == torch.float64 else 2e-3
    torch.testing.assert_close(got, objective.given + direction, atol=tolerance, rtol=tolerance)


def test_newton_equals_newton_with_one_step_where_no_step_is_halved(five_providers):
    data = (five_providers.x, five_providers.y), (five_providers.x_test, five_providers.y_test)
    kwargs = {"metric": "log_likelihood", "fit": five_providers.recipe}
    labels = np.array(five_providers.players)[five_providers.player_of_row]
    full = ValuationProblem(five_providers.model, *data, groups=labels, valued=["a", "c"], **kwargs)
    rows = torch.as_tensor(np.isin(labels, ["a", "c"]))
    partial = ValuationProblem(
        full.model,
        (full.x[rows], full.y[rows]),
        (full.x_test, full.y_test),
        groups=labels[rows.numpy()],
        access="partial",
        reference="test",
        artifacts=compute_artifacts(full),
        **kwargs,
    )
    a, b = (UnlearningGame(one, "newton", steps=1)(every(2)) for one in (full, partial))
    np.testing.assert_allclose(a, b, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", ["influence", "ssd"])
@pytest.mark.parametrize("hidden", [0, 4])
def test_influence_and_ssd_equal_those_with_all_rows(name, hidden):
    problem = logistic(hidden=hidden)
    partial, whole = part(problem, compute_artifacts(problem)), background(problem)
    torch.testing.assert_close(flat(partial, name, every(3)), flat(whole, name, every(3)), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("everything", [False, True])
def test_linear_exact_equals_that_with_all_rows(alpha, outputs, everything):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6))
    y = x @ rng.standard_normal((6, outputs)) + rng.standard_normal((40, outputs))
    ridge = Ridge(alpha=alpha, fit_intercept=False).fit(x, y)
    model = nn.Linear(6, outputs, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(ridge.coef_).reshape(outputs, 6))
    recipe = Recipe("lbfgs", l2=2 * alpha / outputs)
    full = ValuationProblem(
        model, (x, y), (x, y), loss="mse", metric="neg_mean_squared_error", groups=GROUPS, fit=recipe
    )
    stored = compute_artifacts(full)
    rows = np.ones(40, dtype=bool) if everything else OURS
    at_hand = full.x[torch.as_tensor(rows)], full.y[torch.as_tensor(rows)]
    # Without a recipe: the penalty is that of the artefacts.
    kwargs = {**PARTIAL, "groups": GROUPS[rows], "artifacts": stored}
    partial = ValuationProblem(model, at_hand, (x, y), loss="mse", metric="neg_mean_squared_error", **kwargs)
    mine = np.isin(full.players, partial.players)
    some = every(partial.n_players)
    matrix = np.ones((len(some), 5), dtype=bool)
    matrix[:, mine] = some
    got, expected = flat(partial, "linear_exact", some), flat(full, "linear_exact", matrix)
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=0)
    if everything:
        torch.testing.assert_close(got[0], torch.zeros_like(got[0]), atol=1e-12, rtol=0)


def test_where_nothing_is_retained_newton_goes_back_to_the_initial_parameters():
    problem = logistic()
    partial = part(problem, compute_artifacts(problem), rows=np.ones(40, dtype=bool))
    none = flat(partial, "newton", np.zeros((1, 5), dtype=bool))[0]
    init = torch.cat([problem.recipe.init[name].flatten() for name in problem.engine.theta0])
    torch.testing.assert_close(none, init, atol=0, rtol=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_any_rows_at_hand_give_the_same_step(seed, share):
    problem = _SHARED["problem"]
    rows = np.random.default_rng(seed).random(40) < share
    if len(np.unique(GROUPS[rows])) == 0:
        rows[0] = True
    partial = part(problem, _SHARED["stored"], rows=rows)
    matrix = coalitions(6, partial.n_players, seed=seed)
    matrix[:, 0] = False
    forget = (~partial.retained(matrix)).numpy()
    got = flat(partial, "newton", matrix)
    quadratic = quadratic_of(_SHARED["stored"], problem.engine.flatten(problem.engine.stack(1))[0], None, linear=True)
    retained = torch.ones(len(matrix), 40, dtype=torch.float64)
    retained[:, torch.as_tensor(rows)] = torch.as_tensor(~forget).double()
    _, gradient, curved = LinearHead.of(problem.engine, problem.x, problem.y)(problem.engine.stack(1), retained)
    given_flat = problem.engine.flatten(problem.engine.stack(1))[0]
    penalty = quadratic.correction - _SHARED["stored"].gradient
    right = gradient + penalty - retained.mean(dim=1, keepdim=True) * quadratic.correction
    step = solve_damped(curved + torch.diag(quadratic.diagonal), right)
    keeps = retained.any(dim=1)
    torch.testing.assert_close(got[keeps], (given_flat - step)[keeps], atol=1e-8, rtol=1e-8)


_SHARED = {"problem": logistic()}
_SHARED["stored"] = compute_artifacts(_SHARED["problem"])


# The file.


@pytest.mark.parametrize("hidden", [0, 4])
def test_a_file_gives_the_same_back(tmp_path, hidden):
    problem = logistic(hidden=hidden)
    stored, path = compute_artifacts(problem), tmp_path / "model.artifacts"
    stored.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.artifacts"]
    again = Artifacts.load(str(path))
    assert (again.model, dict(again.versions)) == (stored.model, dict(stored.versions))
    for name in ("hashes", "gradient", "fisher", "l2", "init", "hessian", "proximal", "lowest"):
        assert torch.equal(getattr(again, name), getattr(stored, name)), name
    assert again.gram is again.moments is None
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        hashes = file.get_tensor("hashes")
    assert metadata["format"] == "unshap-artifacts/3"
    assert {"torch", "numpy", "scipy", "python", "unshap-plugin"} == set(json.loads(metadata["versions"]))
    assert hashes.dtype == np.int64
    a, b = (UnlearningGame(part(problem, one), "newton")(every(3)) for one in (stored, path))
    assert np.array_equal(a, b)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.artifacts"
    stored = _SHARED["stored"]
    stored.save(path)
    before = path.read_bytes()

    def full_disk(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(artifacts, "save_file", full_disk)
    with pytest.raises(InvalidValueError, match=r"cannot be written to .*No space left on device.*give another path"):
        stored.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InvalidValueError, match="cannot be written"):
        stored.save(tmp_path / "nowhere" / "file")


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        data[-5] ^= 1
        path.write_bytes(data)
    elif how == "text":
        path.write_text("x,y\n1,2\n")
    elif how == "foreign":
        save_file({"weight": torch.zeros(3)}, path)
    elif how == "lacking":
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        del tensors["fisher"]
        save_file(tensors, path, metadata={**metadata, "content": artifacts._digest(tensors)})
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("cut", "cannot be read"),
        ("empty", "cannot be read"),
        ("text", "cannot be read"),
        ("missing", "cannot be read"),
        ("flipped", "is damaged"),
        ("foreign", "is not in the format 'unshap-artifacts/3'"),
        ("lacking", "is of another version"),
    ],
)
def test_damaged_and_foreign_files_are_one_sentence(tmp_path, how, what):
    path = tmp_path / "a.safetensors"
    _SHARED["stored"].save(path)
    damage(path, how)
    with pytest.raises(InvalidValueError, match=what) as caught:
        part(_SHARED["problem"], path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("give a file that compute_artifacts(problem).save(path) wrote.")


# The checks.


def test_another_model_is_refused():
    problem, stored = _SHARED["problem"], _SHARED["stored"]
    others = {name: copy.deepcopy(problem.model) for name in ("moved", "float32", "frozen")}
    with torch.no_grad():
        others["moved"][0].weight[0, 0] += 1e-12
    others["float32"].float()
    others["frozen"][0].bias.requires_grad_(False)
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    for model in others.values():
        with pytest.raises(InvalidValueError, match="the artefacts are those of another model"):
            ValuationProblem(model, *data, artifacts=stored)
    with pytest.raises(InvalidValueError, match="or its loss differ"):
        ValuationProblem(problem.model, *data, artifacts=stored, loss=lambda out, y: cross_entropy(out, y))
    assert ValuationProblem(problem.model, *data, artifacts=stored).stored is stored


def test_rows_that_were_not_there_are_counted_and_named():
    problem, stored = _SHARED["problem"], _SHARED["stored"]
    for change, count, first in (("x", 1, 7), ("y", 2, 3), ("twice", 2, 40)):
        x, y = problem.x.clone(), problem.y.clone()
        if change == "x":
            x[7, 0] += 1e-9
        elif change == "y":
            y[[3, 5]] = 1 - y[[3, 5]]
        else:
            x, y = torch.cat([x, x[:2]]), torch.cat([y, y[:2]])
        with pytest.raises(InvalidValueError) as caught:
            ValuationProblem(
                problem.model, (x, y), (problem.x_test, problem.y_test), access="partial", artifacts=stored
            )
        assert f"{count} of {len(y)} training rows were not among the 40 rows" in str(caught.value)
        assert f"the first being row {first}: prepare rows and labels" in str(caught.value)


def test_artefacts_are_of_everything_and_of_modules():
    problem, stored = _SHARED["problem"], _SHARED["stored"]
    with pytest.raises(InvalidValueError, match=r"but access is 'partial': compute them for the problem with all"):
        compute_artifacts(part(problem, stored))
    with pytest.raises(InvalidValueError, match="are of 40 rows and train has 24, but access is 'full'"):
        part(problem, stored, access="full")
    x, y = problem.x.numpy(), problem.y.numpy()
    tree = DecisionTreeClassifier(random_state=0).fit(x, y)
    with pytest.raises(InvalidValueError, match="modules with trainable parameters, but DecisionTreeClassifier is not"):
        compute_artifacts(ValuationProblem(tree, (x, y), (x, y)))
    with pytest.raises(InvalidTypeError, match="artifacts is a int, but a path or Artifacts are needed"):
        part(problem, 3)


def test_access_and_refusals():
    problem, stored = _SHARED["problem"], _SHARED["stored"]
    partial, bare = part(problem, stored), part(problem, None)
    assert partial.available == Access.FORGET | Access.REFERENCE | Access.ARTIFACTS
    assert bare.available == Access.FORGET | Access.REFERENCE
    [note] = partial.notes
    assert note == "artefacts of 40 rows stand in for those that are not at hand, where an unlearner needs them."
    for name in ("newton", "influence", "ssd"):
        assert UnlearningGame(partial, name).unlearner.name == name
        with pytest.raises(AccessError) as caught:
            UnlearningGame(bare, name)
        word = resolve_unlearner(name).stored
        assert f"a stored {word} would do: save compute_artifacts(problem) where all data is at hand" in str(
            caught.value
        )
    with pytest.raises(
        AccessError, match="has no RETAIN; the stored artefacts have no gram; unlearners that would work"
    ):
        UnlearningGame(partial, "linear_exact")
    with pytest.raises(AccessError, match=r"has no RETAIN; unlearners that would work: .*influence"):
        UnlearningGame(partial, "finetune")


def test_models_that_are_too_large_have_no_matrix():
    torch.manual_seed(0)
    (x, y), test = breast_cancer()
    wide = nn.Sequential(nn.Linear(6, 600), nn.ReLU(), nn.Linear(600, 2)).double()
    stored = compute_artifacts(ValuationProblem(wide, (x, y), test))
    assert [name for name in artifacts.STAND_INS if stored.has(name)] == ["fisher"]
    partial = ValuationProblem(wide, (x[OURS], y[OURS]), test, artifacts=stored, **PARTIAL)
    assert np.isfinite(UnlearningGame(partial, "ssd")(every(3))).all()
    with pytest.raises(AccessError, match="the stored artefacts have no hessian"):
        UnlearningGame(partial, "influence")


def test_unlearners_say_what_stands_in():
    with pytest.raises(UnknownNameError, match=r"unknown stored artefact 'hesian' \(did you mean 'hessian'"):
        type("Wrong", (Unlearner,), {"stored": "hesian", "_unlearn": None})
    text = "\n".join(one_as_text("newton", find_unlearner("newton")))
    assert "access      retain or stored hessian" in text
    [line] = [line for line in table(plugins()) if line.startswith("ssd ")]
    assert "forget, retain or stored fisher" in line


# Hashes of rows.


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=1, max_size=8))
def test_rows_have_one_hash_if_and_only_if_they_are_the_same(rows):
    x = torch.tensor(rows, dtype=torch.float64)
    hashes = row_hashes(x).tolist()
    for a, one in zip(x, hashes, strict=True):
        for b, other in zip(x, hashes, strict=True):
            assert (a.numpy().tobytes() == b.numpy().tobytes()) == (one == other)
    assert row_hashes(x.flip(0)).tolist() == hashes[::-1], "a row's hash does not depend on the others"


def test_hashes_do_not_depend_on_the_form():
    ids = torch.arange(12).reshape(4, 3)
    mask = torch.ones(4, 3, dtype=torch.bool)
    expected = row_hashes({"ids": ids, "mask": mask}, torch.arange(4))
    assert torch.equal(expected, row_hashes({"mask": mask.long(), "ids": ids.int()}, torch.arange(4).to(torch.uint8)))
    assert torch.equal(expected, row_hashes((ids, mask), torch.arange(4)))
    assert expected.dtype == torch.int64
    assert not torch.isin(row_hashes((ids, mask), torch.arange(4).flip(0)), expected).any()


def test_gradients_of_rows_are_the_same_in_any_block(monkeypatch):
    from unshap_plugin.model import engine

    problem = logistic(hidden=4)
    whole = torch.cat(list(problem.engine.row_gradients(problem.x, problem.y)))
    monkeypatch.setattr(engine, "_BLOCK", 7 * problem.engine.n_parameters)
    looped = Engine(problem.model, problem.loss)
    looped.batched = False
    blocks = list(looped.row_gradients(problem.x, problem.y))
    assert [len(block) for block in blocks] == [7, 7, 7, 7, 7, 5]
    torch.testing.assert_close(torch.cat(blocks), whole, atol=1e-12, rtol=0)


def test_an_unlearner_may_not_change_what_is_stored():
    class Careless(Unlearner):
        name = "careless"
        stored = "hessian"

        def _unlearn(self, problem, coalitions, seed):
            self.stand_in(problem).hessian.mul_(2)
            return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))

    problem = logistic()
    partial = part(problem, compute_artifacts(problem))
    with pytest.raises(ContractError, match="changed the data of the problem"):
        Careless().unlearn(partial, every(3), 0)


def test_artefacts_of_the_same_parameters_in_other_layers_are_refused():
    problem = early_stopped(hidden=4)
    other = copy.deepcopy(problem.model)
    other[1] = nn.ReLU()
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    artifacts = compute_artifacts(ValuationProblem(other, *data, fit=problem.recipe))
    assert all(torch.equal(p, q) for p, q in zip(other.parameters(), problem.model.parameters(), strict=True))
    with pytest.raises(InvalidValueError, match="model"):
        ValuationProblem(problem.model, *data, access="partial", fit=problem.recipe, artifacts=artifacts)


# The same name, another loss; the same model, another recipe.


def with_loss(problem, loss, **kwargs):
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    return ValuationProblem(problem.model, *data, loss=loss, outputs="logits", metric="log_likelihood", **kwargs)


LOSSES = {
    "half of it": lambda o, y: cross_entropy(o, y) / 2,
    "of smoothed labels": lambda o, y: nn.functional.cross_entropy(o, y, reduction="none", label_smoothing=0.1),
    "hinge": lambda o, y: nn.functional.multi_margin_loss(o, y, reduction="none"),
}


@pytest.mark.parametrize("other", LOSSES)
def test_artefacts_of_another_loss_of_the_same_name_are_refused(other):
    problem = logistic()
    mine = lambda o, y: cross_entropy(o, y)  # noqa: E731
    stored = compute_artifacts(with_loss(problem, mine))
    with pytest.raises(InvalidValueError, match=r"were computed with another loss: that of row \d+ was \S+ and is"):
        part(problem, stored, loss=LOSSES[other], outputs="logits", fit=None)
    same = part(problem, stored, loss=lambda o, y: 1.0 * cross_entropy(o, y), outputs="logits", fit=None)
    assert same.stored is stored


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"l2": 0.5}, "fit has another l2 than the artefacts were computed with \\(0.5 instead of 2 for parameter"),
        ({"l2": {"0.weight": 2.0}}, "fit has another l2 .* \\(0 instead of 2 for parameter number 12"),
        ({"l2": 2.0, "init": nn.Sequential(nn.Linear(6, 2)).double()}, "fit has another init than the artefacts"),
        ({}, "fit has another l2 than the artefacts"),
    ],
)
def test_a_recipe_that_contradicts_artefacts_is_refused(fit, message):
    problem = logistic()
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    recipe = Recipe(l2=2.0, init=problem.recipe.init)
    stored = compute_artifacts(ValuationProblem(problem.model, *data, metric="log_likelihood", fit=recipe))
    with pytest.raises(InvalidValueError, match=message):
        part(problem, stored, fit=fit)
    matrix, asked = every(3), [part(problem, stored, fit=one) for one in (recipe, None)]
    np.testing.assert_array_equal(*(UnlearningGame(one, "newton")(matrix) for one in asked))
