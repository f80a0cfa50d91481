"""Whatever ends a call of foreign code, and whatever it did before: what it was lent is as it was."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from problems import breast_cancer, coalitions, early_stopped
from sklearn.base import BaseEstimator
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import ContractError
from unshap_plugin.model.guard import guard
from unshap_plugin.model.trained import FittedObject
from unshap_plugin.plugin import Access, ModelKind, ModelList, StackedModels, Unlearner, UnlearnerSpec
from unshap_plugin.problem.lending import lending
from unshap_plugin.problem.object_problem import ObjectProblem

FIVE = np.repeat(list("abcde"), 8)


def change_model(problem):
    with torch.no_grad():
        problem.model[0].weight.mul_(2.0)


def change_data(problem):
    problem.y_test.add_(1)


def change_data_by_numpy(problem):
    problem.x.numpy()[0] = 5


def change_data_unseen_by_torch(problem):
    problem.x_test.data.mul_(2)


def change_owners(problem):
    problem.player_of_row[:] = 0


def change_given_utility(problem):
    problem.given_utility[...] = 0


def change_initial_parameters(problem):
    problem.recipe.init["0.bias"].add_(1)


def change_mode(problem):
    problem.model.train()


def change_requires_grad(problem):
    problem.model[0].weight.requires_grad_(False)


def move_torch(problem):
    torch.rand(3)


def move_numpy(problem):
    np.random.random(3)


def move_python(problem):
    random.random()


DAMAGES = {
    "model changed": (change_model, "changed '0.weight' of the model that it was given"),
    "data changed": (change_data, "changed the data of the problem"),
    "data changed through numpy": (change_data_by_numpy, "changed the data of the problem"),
    "data changed unseen by torch": (change_data_unseen_by_torch, "changed the data of the problem"),
    "owners of rows changed": (change_owners, "changed the data of the problem"),
    "given utility changed": (change_given_utility, "changed the data of the problem"),
    "initial parameters changed": (change_initial_parameters, "changed the data of the problem"),
    "torch's generator moved": (move_torch, "drew from the global random generator of torch"),
    "numpy's generator moved": (move_numpy, "drew from the global random generator of numpy"),
    "Python's generator moved": (move_python, "drew from the global random generator of random"),
    "mode changed": (change_mode, "changed the mode of the model that it was given"),
    "requires_grad changed": (change_requires_grad, "changed requires_grad of '0.weight' of the model"),
}
ENDINGS = {
    "success": None,
    "exception": ArithmeticError("too late"),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt("stop"),
}


def matrix_of(damages):
    return [
        pytest.param(damage, what, end, id=f"{ending} x {name}")
        for ending, end in ENDINGS.items()
        for name, (damage, what) in damages.items()
    ]


EVERY = matrix_of(DAMAGES)
ANYWHERE = matrix_of({name: DAMAGES[name] for name in ("model changed", "data changed", "numpy's generator moved")})

#: Where else code of a plugin runs, and what an error says of it.
WHERE = {
    "outputs": "(for the coalition that keeps",
    "_check": "(when it was asked whether it takes this problem)",
    "bytes_per_coalition": "(when it was asked for the memory that a coalition takes)",
}


def lent(problem):
    """Everything of the model and the generators, as plain values."""
    named = [*problem.model.named_parameters(), *problem.model.named_buffers()]
    model = [(name, t.detach().clone(), t.requires_grad, t.grad is None) for name, t in named]
    modes = [layer.training for layer in problem.model.modules()]
    numpy_state = np.random.get_state()
    return model, modes, torch.get_rng_state(), (numpy_state[1].tolist(), *numpy_state[2:]), random.getstate()


def same(before, after):
    for (name, a, *flags), (other, b, *others) in zip(before[0], after[0], strict=True):
        assert (name, flags) == (other, others)
        assert torch.equal(a, b), name
    assert before[1] == after[1], "the mode"
    assert torch.equal(before[2], after[2]), "torch's generator"
    assert before[3:] == after[3:], "the other generators"


@dataclass(frozen=True)
class Rude(Unlearner):
    """Does some damage where it is told to, and then ends as it is told."""

    name: ClassVar[str] = "rude"
    needs: ClassVar[Access] = Access.FORGET
    takes: ClassVar[ModelKind] = ModelKind.PARAMETERS | ModelKind.FIT_PREDICT

    damage: object
    end: object
    where: str = "_unlearn"

    def does(self, where, problem):
        if where == self.where:
            self.damage(problem)
            if self.end is not None:
                raise self.end

    def _check(self, problem):
        self.does("_check", problem)

    def bytes_per_coalition(self, problem):
        self.does("bytes_per_coalition", problem)
        return super().bytes_per_coalition(problem)

    def _unlearn(self, problem, coalitions, seed):
        self.does("_unlearn", problem)
        if isinstance(problem, ObjectProblem):
            return ModelList(problem, [problem.model] * len(coalitions))
        models = StackedModels(problem.engine, problem.engine.stack(len(coalitions)))
        plain = models.outputs
        models.outputs = lambda x: (self.does("outputs", problem), plain(x))[1]
        return models


def under_guard(problem, *damages, end=None):
    with lending(problem):
        for damage in damages:
            damage(problem)
        if end is not None:
            raise end


@pytest.mark.parametrize(("damage", "what", "end"), EVERY)
def test_what_was_lent_is_put_back(damage, what, end):
    problem = early_stopped()
    before = lent(problem)
    expected = KeyboardInterrupt if isinstance(end, KeyboardInterrupt) else ContractError
    with pytest.raises(expected) as caught:
        under_guard(problem, damage, end=end)
    same(before, lent(problem))
    if expected is ContractError:
        assert what in str(caught.value)
        if end is not None:
            assert str(caught.value).endswith(f"and failed with {type(end).__name__}: {end}")
            assert caught.value.__cause__ is end


@pytest.mark.parametrize(("damage", "what", "end"), EVERY)
def test_a_game_names_who_did_it_and_blames_nobody_else(damage, what, end):
    blamed(damage, what, end, "_unlearn", "(for the coalition that keeps")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("damage", "what", "end"), ANYWHERE)
def test_a_game_names_who_did_it_wherever_that_was(damage, what, end, where):
    blamed(damage, what, end, where, WHERE[where])


def blamed(damage, what, end, where, when):
    problem = early_stopped()
    matrix = coalitions(3, problem.n_players)
    clean = UnlearningGame(problem, "finetune")(matrix)
    before = lent(problem)
    expected = KeyboardInterrupt if isinstance(end, KeyboardInterrupt) else ContractError
    with pytest.raises(expected) as caught:
        UnlearningGame(problem, Rude(damage, end, where))(matrix[:1])
    if expected is ContractError:
        assert str(caught.value).startswith("unlearner 'rude' ")
        assert what in str(caught.value)
        assert when in str(caught.value)
    same(before, lent(problem))
    if "changed the data" not in what:  # of which nobody took a copy
        assert np.array_equal(UnlearningGame(problem, "finetune")(matrix), clean), "the next one is not blamed"


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_a_call_that_leaves_everything_alone_ends_as_it_ends(end):
    problem = early_stopped()
    if end is None:
        with lending(problem):
            torch.Generator().manual_seed(0)
        return
    with pytest.raises(type(end)) as caught, lending(problem):
        raise end
    assert caught.value is end


def put_other_rows(problem):
    problem.x["rows"] = problem.x["rows"] + 1


class Named(torch.nn.Module):
    """Takes its rows by name."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 2).double()

    def forward(self, rows):
        return self.layer(rows)


def test_rows_that_are_put_in_the_place_of_others_are_seen():
    train, test = ((dict(rows=x), y) for x, y in breast_cancer())
    problem = ValuationProblem(Named(), train, test)
    with pytest.raises(ContractError, match=r"^unlearner 'rude' .* changed the data of the problem"):
        UnlearningGame(problem, Rude(put_other_rows, None))(np.zeros((1, 40), dtype=bool))


def given_weight(problem):
    with torch.no_grad():
        problem.given_model[0].weight.mul_(2)


def given_fit(problem):
    problem.given_model.fit(np.eye(6), [0, 1] * 3)


def given_settings(problem):
    problem.given_model.set_params(max_depth=1)


def no_players(problem):
    problem.players.clear()


def no_gradients(problem):
    torch.set_grad_enabled(False)


def other_dtype(problem):
    torch.set_default_dtype(torch.float64)


def linear_problem(given):
    return ValuationProblem(given, *breast_cancer(), groups=FIVE, fit=Recipe(epochs=1))


def tree():
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(*breast_cancer()[0])


def tree_problem(given=None):
    return ValuationProblem(tree() if given is None else given, *breast_cancer(), groups=FIVE)


@pytest.mark.parametrize("where", ["_unlearn", *WHERE])
@pytest.mark.parametrize("harm", [given_weight, no_players, no_gradients, other_dtype])
def test_what_a_plugin_does_to_copies_and_to_settings_of_torch_harms_nobody(harm, where):
    given = torch.nn.Sequential(torch.nn.Linear(6, 2)).double()
    before, matrix = copy.deepcopy(given.state_dict()), coalitions(3, 5)
    clean, problem = UnlearningGame(linear_problem(given), "finetune")(matrix), linear_problem(given)
    UnlearningGame(problem, Rude(harm, None, where))(matrix)
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == (True, torch.float32)
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())
    np.testing.assert_array_equal(UnlearningGame(problem, "finetune")(matrix), clean)


@pytest.mark.parametrize("where", ["_unlearn", "_check"])
@pytest.mark.parametrize("harm", [given_fit, given_settings, no_players])
def test_what_a_plugin_does_to_copies_of_an_object_harms_nobody(harm, where):
    given, matrix = tree(), coalitions(3, 5)
    clean, problem = UnlearningGame(tree_problem(), "retrain")(matrix), tree_problem(given)
    UnlearningGame(problem, Rude(harm, None, where))(matrix)
    assert given.get_params() == tree().get_params()
    np.testing.assert_array_equal(given.predict_proba(problem.x), tree().predict_proba(problem.x))
    np.testing.assert_array_equal(UnlearningGame(problem, "retrain")(matrix), clean)


def fit_again(problem):
    problem.model.fit(problem.x.numpy(), 1 - problem.y.numpy())


OF_OBJECTS = {
    "model changed": (fit_again, "changed the answers of the model that it was given"),
    "data changed": (change_data_by_numpy, "changed the data of the problem"),
    "generator moved": (move_numpy, "drew from the global random generator of numpy"),
}


@pytest.mark.parametrize(("damage", "what", "end"), matrix_of(OF_OBJECTS))
def test_a_game_of_an_object_names_who_did_it_and_blames_nobody_else(damage, what, end):
    problem, matrix = tree_problem(), coalitions(3, 5)
    clean, answers = UnlearningGame(problem, "retrain")(matrix), problem.outputs(problem.model, problem.x_test)
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    expected = KeyboardInterrupt if isinstance(end, KeyboardInterrupt) else ContractError
    with pytest.raises(expected) as caught:
        UnlearningGame(problem, Rude(damage, end))(matrix[:1])
    if expected is ContractError:
        assert str(caught.value).startswith("unlearner 'rude' ")
        assert what in str(caught.value)
    assert torch.equal(problem.outputs(problem.model, problem.x_test), answers)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]
    if damage is not change_data_by_numpy:
        np.testing.assert_array_equal(UnlearningGame(problem, "retrain")(matrix), clean)


def test_several_things_are_all_named():
    problem = early_stopped()
    with pytest.raises(
        ContractError, match=r"changed the mode of .* and changed the data of .* and drew from .* numpy"
    ):
        under_guard(problem, change_mode, change_data, move_numpy)


def test_an_interrupted_call_that_changed_something_is_logged(caplog):
    problem = early_stopped()
    with pytest.raises(KeyboardInterrupt):
        under_guard(problem, change_data, end=KeyboardInterrupt())
    assert "interrupted after it changed the data of the problem" in caplog.text


def test_an_object_is_put_back_where_its_answers_changed():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    fitted = FittedObject(DecisionTreeRegressor(random_state=0).fit(x, y))
    rows = torch.as_tensor(x)
    fitted.watch(rows)
    given = fitted.outputs(fitted.model, rows)
    with pytest.raises(ContractError, match="changed the answers of the model"), guard(fitted, list):
        fitted.model.fit(x, y[::-1])
    assert torch.equal(fitted.outputs(fitted.model, rows), given)


class Noisy(BaseEstimator):
    """Draws from the global generators whenever it can."""

    def fit(self, x, y):
        self.coef_ = np.random.random(x.shape[1]) + float(torch.rand(1)) + random.random()
        return self

    def predict(self, x):
        return x @ self.coef_ + np.random.random(len(x)) + random.random()


def test_objects_that_draw_from_the_global_generators_are_retrained_with_seeds_of_the_coalition():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    matrix = coalitions(6, 12)
    with torch.random.fork_rng():
        problem = ValuationProblem(Noisy().fit(x, y), (x, y), (x, y))
        again = (np.random.get_state(), random.getstate(), torch.get_rng_state())
        game = UnlearningGame(problem, "retrain", seed=4)
        values = game(matrix)
        assert np.array_equal(np.random.get_state()[1], again[0][1])
        assert random.getstate() == again[1]
        assert torch.equal(torch.get_rng_state(), again[2])
    assert len(np.unique(values)) > 1
    np.random.random(5), random.random()
    one_by_one = UnlearningGame(problem, "retrain", seed=4, chunk=1)
    assert np.array_equal(one_by_one(matrix[::-1])[::-1], values), "neither order nor batch matters"
    assert not np.array_equal(UnlearningGame(problem, "retrain", seed=5)(matrix), values)


class Guessing(Noisy):
    """Draws with every answer, from the same fit."""

    def fit(self, x, y):
        self.coef_ = np.ones(x.shape[1])
        return self


def test_answers_of_equal_fits_are_drawn_by_coalition():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    problem, matrix = ValuationProblem(Guessing().fit(x, y), (x, y), (x, y)), np.eye(6, dtype=bool)[:3]
    values = UnlearningGame(problem, "retrain", seed=4)(matrix)
    assert len(np.unique(values)) == 3
    assert np.array_equal(UnlearningGame(problem, "retrain", seed=4, chunk=1)(matrix[::-1])[::-1], values)


def test_a_list_of_models_answers_alike_whenever_it_is_asked():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    problem = ValuationProblem(Noisy().fit(x, y), (x, y), (x, y))
    models = ModelList(problem, [Noisy().fit(x, y), Noisy().fit(x, y)])
    assert torch.equal(models.outputs(problem.x_test), models.outputs(problem.x_test))


# Plain attributes of layers.


class Scaled(torch.nn.Module):
    """Has plain attributes, some of which its own forward sets."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 2).double()
        self.scale, self.mode, self.offset = 1.0, "on", torch.zeros(2).double()
        self.table, self.calls, self.last = np.ones(2), 0, None

    def forward(self, x):
        self.calls += 1
        self.last = self.scale * self.layer(x)
        return self.last + self.offset


def set_on(name, value):
    def damage(problem):
        setattr(problem.model, name, value(problem.model))

    return damage


CHANGES = {
    "scale": set_on("scale", lambda _: 2.0),
    "mode": set_on("mode", lambda _: "off"),
    "offset": set_on("offset", lambda model: model.offset + 1),
    "table": set_on("table", lambda model: model.table * 2),
    "brand_new": set_on("brand_new", lambda _: 1),
}


def scaled(seed=0):
    torch.manual_seed(seed)
    train, test = breast_cancer()
    return ValuationProblem(Scaled(), train, test, groups=FIVE)


@pytest.mark.parametrize("name", CHANGES)
def test_an_attribute_that_a_plugin_changes_is_named_and_put_back(name):
    @dataclass(frozen=True)
    class Careless(Unlearner):
        name: ClassVar[str] = "careless"

        def _unlearn(self, problem, coalitions, seed):
            CHANGES[what](problem)
            return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))

    what, problem = name, scaled()
    before = problem.outputs(problem.model, problem.x_test)
    with pytest.raises(ContractError, match=f"changed the attribute '{name}' of the model that it was given"):
        UnlearningGame(problem, Careless())([[True, True, False, False, False]])
    assert torch.equal(problem.outputs(problem.model, problem.x_test), before)
    assert (problem.model.scale, problem.model.mode) == (1.0, "on")


def test_what_the_forward_sets_itself_is_no_fault_of_a_function():
    def asks(model, forget):
        model(forget[0])
        return model

    problem = scaled()
    unlearner = UnlearnerSpec.from_function(asks, summary="asks", source="a test").factory()
    got = UnlearningGame(problem, unlearner)([[True, True, False, False, False]])
    assert float(got[0]) == pytest.approx(float(problem.given_utility))

    def sets(model, forget):
        model.scale = 3.0
        return model

    unlearner = UnlearnerSpec.from_function(sets, summary="sets", source="a test").factory()
    with pytest.raises(ContractError, match="changed the attribute 'scale' of the model that it was given"):
        UnlearningGame(problem, unlearner)([[True, True, False, False, False]])


def test_what_the_forward_sets_itself_is_nobodys_fault():
    @dataclass(frozen=True)
    class Asks(Unlearner):
        name: ClassVar[str] = "asks"

        def _unlearn(self, problem, coalitions, seed):
            problem.model(problem.x)  # by itself, not through the engine
            return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))

    problem = scaled()
    got = UnlearningGame(problem, Asks())([[True, True, False, False, False]])
    assert float(got[0]) == pytest.approx(float(problem.given_utility))
