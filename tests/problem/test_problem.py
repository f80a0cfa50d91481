"""Problems: players, background, access, kinds of data, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import breast_cancer, coalitions
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, UnshapError, ValuationProblem, shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.plugin import Access

(X, Y), TEST = breast_cancer()
GROUPS = np.array(list("abcd") * 10)


def linear(outputs=2, features=6):
    torch.manual_seed(0)
    return nn.Linear(features, outputs).double()


def make(model=None, train=(X, Y), test=TEST, **kwargs):
    return ValuationProblem(linear() if model is None else model, train, test, **kwargs)


def test_rows_are_players_by_default():
    problem = make()
    assert problem.players == list(range(40))
    assert problem.available == Access.FORGET | Access.RETAIN
    matrix = coalitions(5, 40)
    assert np.array_equal(problem.retained(matrix).numpy(), matrix)


def test_groups_are_players():
    problem = make(groups=GROUPS)
    assert problem.players == list("abcd")
    retained = problem.retained(np.array([[True, False, False, True]])).numpy()[0]
    assert np.array_equal(retained, np.isin(GROUPS, ["a", "d"]))


def test_the_rest_of_the_groups_is_background_and_always_kept():
    problem = make(groups=GROUPS, valued=["c", "a"])
    assert problem.players == ["c", "a"]
    retained = problem.retained(np.array([[False, False], [True, False]])).numpy()
    assert np.array_equal(retained[0], np.isin(GROUPS, ["b", "d"]))
    assert np.array_equal(retained[1], np.isin(GROUPS, ["b", "c", "d"]))


def test_rows_can_be_targets():
    problem = make(valued=[3, 7])
    assert problem.players == [3, 7]
    retained = problem.retained(np.array([[False, True]])).numpy()[0]
    assert np.flatnonzero(~retained).tolist() == [3]


def test_values_of_targets_are_those_of_the_game_with_the_rest_kept():
    whole = UnlearningGame(make(groups=GROUPS, metric="log_likelihood"), "newton")
    part = UnlearningGame(make(groups=GROUPS, valued=["a", "c"], metric="log_likelihood"), "newton")
    result = shapley_values(part, "exact")
    v = {
        pair: whole(np.array([[pair[0], True, pair[1], True]]))[0]
        for pair in [(0, 0), (0, 1), (1, 0), (1, 1)]
        for pair in [(bool(pair[0]), bool(pair[1]))]
    }
    a = (v[True, False] - v[False, False] + v[True, True] - v[False, True]) / 2
    c = (v[False, True] - v[False, False] + v[True, True] - v[True, False]) / 2
    np.testing.assert_allclose(result.values, [a, c], rtol=0, atol=1e-12)
    full = shapley_values(whole, "exact").values[[0, 2]]
    assert np.abs(result.values - full).max() > 1e-3, "not the full-data values restricted to the valued groups"


def test_the_reference_set_is_access():
    (_, _), (others, labels) = breast_cancer(rows=100, tests=20)
    assert make(reference=(others, labels)).available == Access.FORGET | Access.RETAIN | Access.REFERENCE
    alone = make(reference=others, access="partial")
    assert alone.available == Access.FORGET | Access.REFERENCE
    assert alone.reference[1] is None


def test_dtype_follows_the_model_and_integers_stay():
    problem = make(nn.Linear(6, 2), (X.astype(np.float64), Y.astype(np.uint8)))
    assert problem.x.dtype == torch.float32
    assert problem.y.dtype == torch.int64


class Embedder(nn.Module):
    """Takes token ids and a mask by name, as language models do."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, input_ids, attention_mask):
        weight = attention_mask[..., None].float()
        return self.head((self.embed(input_ids) * weight).sum(-2) / weight.sum(-2))


@pytest.mark.parametrize("form", [dict, tuple])
def test_x_may_be_a_dict_or_a_tuple_of_tensors(form):
    torch.manual_seed(0)
    ids, mask = torch.randint(0, 20, (30, 5)), torch.ones(30, 5, dtype=torch.int64)
    pieces = {"input_ids": ids, "attention_mask": mask}

    def take(rows):
        return {k: v[rows] for k, v in pieces.items()} if form is dict else tuple(v[rows] for v in pieces.values())

    labels = (ids[:, 0] > 9).long()
    problem = ValuationProblem(
        Embedder(),
        (take(slice(20)), labels[:20]),
        (take(slice(20, 30)), labels[20:]),
        metric="log_likelihood",
        fit=Recipe(epochs=2, batch_size=8),
    )
    matrix = coalitions(5, 20)
    for name in ("finetune", "gradient_ascent", "retrain"):
        values = UnlearningGame(problem, name)(matrix)
        slow = ValuationProblem(
            problem.model,
            (problem.x, problem.y),
            (problem.x_test, problem.y_test),
            metric="log_likelihood",
            fit=problem.recipe,
        )
        slow.engine.batched = False
        np.testing.assert_allclose(values, UnlearningGame(slow, name)(matrix), atol=1e-5)


@pytest.mark.parametrize(("loss", "outputs"), [("mse", 1), ("binary_cross_entropy_with_logits", 1)])
def test_one_output_against_flat_targets_does_not_broadcast(loss, outputs):
    metric = "neg_mean_squared_error" if loss == "mse" else "accuracy"
    problem = make(linear(outputs), loss=loss, metric=metric)
    out = problem.outputs(problem.model, problem.x_test)
    z, y = out[:, 0].numpy(), TEST[1]
    expected = -np.mean((z - y) ** 2) if loss == "mse" else np.mean((z > 0) == y)
    np.testing.assert_allclose(problem.given_utility, expected)


def test_a_user_may_bring_loss_and_metric():
    def loss(outputs, targets):
        return (outputs - nn.functional.one_hot(targets, 2)).abs().sum(dim=1)

    problem = make(loss=loss, metric=lambda out, y: (out.argmax(1) == y).double().mean())
    values = UnlearningGame(problem, "finetune")(coalitions(4, 40))
    assert np.isfinite(values).all()


def nan_at(row):
    x = X.copy()
    x[row, 1] = np.nan
    return x


class NoModel:
    """Has neither fit nor predict."""


FLOAT_LABELS = (X, Y.astype(float))
BAD = {
    "nan in train": (
        dict(train=(nan_at(3), Y)),
        InvalidValueError,
        r"train x has NaN or infinity in 1 of 40 rows, first in row 3",
    ),
    "infinity in test": (
        dict(test=(np.where(nan_at(2) != nan_at(2), np.inf, X), Y)),
        InvalidValueError,
        r"test x has NaN or infinity in 1 of 40 rows, first in row 2",
    ),
    "nan in y": (
        dict(train=(X, np.where(np.arange(40) == 5, np.nan, 0.0)), loss="mse", metric="r2", model=linear(1)),
        InvalidValueError,
        r"train y has NaN",
    ),
    "no columns": (
        dict(train=(X[:, :0], Y)),
        InvalidValueError,
        r"train x has rows without a number",
    ),
    "empty train": (dict(train=(X[:0], Y[:0])), InvalidValueError, r"train x is empty: at least one row"),
    "empty test": (dict(test=(X[:0], Y[:0])), InvalidValueError, r"test x is empty"),
    "one row": (dict(train=(X[:1], Y[:1])), InvalidValueError, r"train has one row"),
    "one class": (dict(train=(X, np.zeros(40, int))), InvalidValueError, r"train has the single class 0"),
    "class only in test": (
        dict(model=linear(3), test=(X, np.where(np.arange(40) == 0, 2, Y))),
        InvalidValueError,
        r"test has class 2, which train lacks \(train has \[0, 1\]\)",
    ),
    "label count": (dict(train=(X, Y[:39])), InvalidValueError, r"train has 40 rows of x but 39 labels"),
    "labels of text": (
        dict(train=(X, np.array(["yes", "no"] * 20))),
        InvalidValueError,
        r"test y has class 0 in row 0, but the model was fitted on '0', '1', 'no', 'yes'",
    ),
    "features of text": (dict(train=(X.astype(str), Y)), InvalidTypeError, r"train x has dtype"),
    "float labels": (dict(train=FLOAT_LABELS), InvalidValueError, r"cross_entropy needs integer class labels"),
    "columns of labels": (
        dict(train=(X, np.stack([Y, Y, Y], 1))),
        InvalidValueError,
        r"cross_entropy needs targets \[rows\] or of the shape of the outputs",
    ),
    "too few outputs": (
        dict(model=linear(1)),
        InvalidValueError,
        r"the model has 1 output, but the labels go from 0 to 1: .* or loss='binary_cross_entropy_with_logits'",
    ),
    "outputs of another shape": (
        dict(model=linear(3), loss="mse", metric="accuracy"),
        InvalidValueError,
        r"outputs \[40, 3\] and targets \[40\]",
    ),
    "loss that averages": (
        dict(loss=nn.functional.cross_entropy),
        InvalidValueError,
        r"the loss returned shape \[\] for 40 rows",
    ),
    "loss that does not fit": (
        dict(loss=nn.functional.nll_loss, model=linear(1)),
        InvalidValueError,
        r"the loss cannot be computed from outputs \[40, 1\] and targets \[40\]",
    ),
    "metric that does not fit": (
        dict(loss="mse", metric="r2", model=linear(2), train=(X, np.c_[X[:, :2]]), test=(X, X[:, 0])),
        InvalidValueError,
        r"outputs \[40, 2\] and targets \[40\]",
    ),
    "accuracy of numbers": (
        dict(loss="mse", metric="accuracy", model=linear(1), train=(X, X[:, 0]), test=(X, X[:, 0])),
        InvalidValueError,
        r"metric 'accuracy' needs class labels",
    ),
    "features do not fit": (
        dict(model=linear(2, 5)),
        InvalidValueError,
        r"the model cannot be applied to the train rows \(RuntimeError",
    ),
    "unfitted": (
        dict(model=LogisticRegression()),
        InvalidValueError,
        r"cannot be applied to the train rows \(NotFittedError",
    ),
    "not a model": (
        dict(model=NoModel()),
        InvalidTypeError,
        r"model is a NoModel, but a torch.nn.Module or an object with fit and predict",
    ),
    "train is no pair": (dict(train=X), InvalidTypeError, r"train is a ndarray, but a pair \(x, y\) is needed"),
    "unknown loss": (
        dict(loss="cross_entrpy"),
        UnknownNameError,
        r"unknown loss 'cross_entrpy' \(did you mean 'cross_entropy'\?\)",
    ),
    "unknown metric": (
        dict(metric="acuracy"),
        UnknownNameError,
        r"unknown metric 'acuracy' \(did you mean 'accuracy'\?\)",
    ),
    "metric of a wrong type": (dict(metric=3), InvalidTypeError, r"metric is a int"),
    "no metric": (dict(metric={}), InvalidValueError, r"metric is an empty dict"),
    "metric that is nan": (
        dict(metric=lambda out, y: float("nan")),
        InvalidValueError,
        r"is nan for the model as given",
    ),
    "unknown access": (
        dict(access="partly"),
        UnknownNameError,
        r"unknown access 'partly' \(did you mean 'partial'\?\)",
    ),
    "groups too short": (
        dict(groups=GROUPS[:-1]),
        InvalidValueError,
        r"groups has shape \[39\], but one label for each of the 40",
    ),
    "one group": (dict(groups=["a"] * 40), InvalidValueError, r"groups has the single group 'a'"),
    "missing label": (dict(groups=[None, *GROUPS[1:]]), InvalidValueError, r"groups has no label in 1 rows"),
    "nan label": (
        dict(groups=np.where(np.arange(40) < 2, np.nan, 1.0)),
        InvalidValueError,
        r"groups has no label in 2 rows",
    ),
    "unknown group is valued": (
        dict(groups=np.repeat(["acme", "bolt"], 20), valued=["acne"]),
        InvalidValueError,
        r"valued names 'acne', which is not among the groups \(did you mean 'acme'\?\)",
    ),
    "unknown row is valued": (
        dict(valued=[0, 60]),
        InvalidValueError,
        r"which is not among the groups; the groups are 0",
    ),
    "name of a column": (dict(groups="provider"), InvalidTypeError, r"groups is 'provider', but one label per row"),
    "number as groups": (dict(groups=3), InvalidTypeError, r"groups is 3, but one label per row"),
    "set of groups": (dict(groups=set(range(40))), InvalidTypeError, r"groups is a set, but a list is needed"),
    "x alone": (dict(train=(X,)), InvalidTypeError, r"train is a tuple of length 1, but a pair \(x, y\) is needed"),
    "class of a model": (dict(model=Ridge), InvalidTypeError, r"model is the class Ridge, but .* an object with fit"),
    "nothing is valued": (dict(groups=GROUPS, valued=[]), InvalidValueError, r"valued is empty"),
    "uneven pieces": (dict(train=({"a": X, "b": X[:5]}, Y)), InvalidValueError, r"one common number of rows"),
}


@pytest.mark.parametrize(("kwargs", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(kwargs, error, message):
    with pytest.raises(error, match=message) as caught:
        make(**kwargs)
    assert isinstance(caught.value, UnshapError)
    assert isinstance(caught.value, ValueError | TypeError)
    assert "\n" not in str(caught.value).strip()


GAMES = {
    "unknown unlearner": (
        dict(unlearner="newtn"),
        UnknownNameError,
        r"unknown unlearner 'newtn' \(did you mean 'newton'\?\)",
    ),
    "unknown setting": (
        dict(unlearner="newton", step=3),
        InvalidValueError,
        r"unlearner 'newton' has no setting 'step' \(did you mean 'steps'\?\); it has: steps, proximal",
    ),
    "class instead of instance": (dict(unlearner=3), InvalidTypeError, r"unlearner is a int"),
    "seed": (dict(seed=-1), InvalidValueError, r"seed is -1"),
    "policy": (dict(on_error="ignore"), UnknownNameError, r"unknown on_error policy 'ignore'"),
    "chunk": (dict(chunk=0), InvalidValueError, r"chunk is 0"),
    "steps": (dict(unlearner="finetune", steps=0), InvalidValueError, r"steps is 0"),
    "lr": (dict(unlearner="gradient_ascent", lr=-0.1), InvalidValueError, r"lr is -0.1"),
}


@pytest.mark.parametrize(("kwargs", "error", "message"), GAMES.values(), ids=GAMES)
def test_bad_games(kwargs, error, message):
    with pytest.raises(error, match=message):
        UnlearningGame(make(), **kwargs)


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.ones((2, 40)), InvalidTypeError, r"coalitions have dtype float64, but a boolean matrix"),
        (np.ones((2, 39), dtype=bool), InvalidValueError, r"coalitions have shape \[2, 39\], but \[m, 40\]"),
        (np.ones(40, dtype=bool), InvalidValueError, r"coalitions have shape \[40\]"),
    ],
)
def test_bad_coalitions(matrix, error, message):
    with pytest.raises(error, match=message):
        UnlearningGame(make())(matrix)


def test_no_coalitions_have_no_utilities():
    assert UnlearningGame(make())(np.zeros((0, 40), dtype=bool)).shape == (0,)


def test_running_out_of_memory_halves_the_chunk(monkeypatch):
    game = UnlearningGame(make(metric="log_likelihood"), "newton", chunk=8)
    matrix = coalitions(20, 40)
    expected = UnlearningGame(make(metric="log_likelihood"), "newton")(matrix)
    whole = game.unlearner.unlearn

    def small(self, problem, coalitions, seed):
        if len(coalitions) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.")
        return whole(problem, coalitions, seed)

    monkeypatch.setattr(type(game.unlearner), "unlearn", small)
    np.testing.assert_array_equal(game(matrix), expected)
    assert game.chunk == 2
