"""What errors about games, estimators and results advise, followed to the letter."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar

import matplotlib as mpl
import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from problems import breast_cancer
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, corrected_values, semivalues, shapley_values, value
from unshap_plugin.errors import BudgetError, DivergenceError
from unshap_plugin.estimators import Stratified
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner
from unshap_plugin.unlearners.models import StackedModels

mpl.use("agg")

FOLDERS = [
    "unshap_plugin/estimators",
    "unshap_plugin/results",
    "unshap_plugin/plots/results.py",
    *(
        f"unshap_plugin/{n}.py"
        for n in ("estimated", "valuation", "corrected", "by_name", "semivalues", "evaluation/evaluation", "game")
    ),
]
#: What only describes.
NO_ADVICE = {"no player has a positive value", "before there were values"}  # nothing can be done about that

(X, Y), TEST = breast_cancer(rows=24, tests=30)
GROUPS = np.repeat(list("abcd"), 6)
SOME = np.array([[True, False, True, True]])
torch.manual_seed(0)
START = nn.Linear(6, 2).double()
RECIPE = Recipe("adam", lr=0.1, epochs=5, batch_size=8, init=START)
MODEL = RECIPE.train(START, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))


def problem(model=MODEL, groups=GROUPS, **kwargs):
    return ValuationProblem(model, (X, Y), TEST, groups=groups, **kwargs)


def plausible(made):
    """Values that sum to what they should, and a utility that is that of a model."""
    result = made if hasattr(made, "values") else shapley_values(made)
    assert np.isfinite(result.values).all()
    np.testing.assert_allclose(result.values.sum(axis=0), result.utility_all - result.utility_none, atol=1e-9)


# Coalitions whose utility cannot be had.


class Odd(Unlearner):
    """Fails for some coalitions, without or with settings."""

    name: ClassVar[str] = "odd"
    fails: ClassVar[object] = None

    def _unlearn(self, problem, coalitions, seed):
        state = problem.engine.stack(len(coalitions))
        for k, kept in enumerate(coalitions):
            type(self).fails(state, k, kept)
        return StackedModels(problem.engine, state)


def odd(fails):
    return type("Odd", (Odd,), {"fails": staticmethod(fails)})()


def raises(state, k, kept):
    if kept.tolist() == SOME[0].tolist():
        raise RuntimeError("these three")


def explodes(state, k, kept):
    if kept.tolist() == SOME[0].tolist():
        state["weight"][k] *= 1e200


def bounded(outputs, targets):
    """Cannot be computed of large numbers."""
    return float("nan") if outputs.abs().max() > 1e3 else -outputs.var()


GIVEN = MODEL(torch.as_tensor(TEST[0])).detach()


def picky(outputs, targets):
    """Cannot be computed of any model but the given one and that without a row."""
    if not torch.equal(outputs, GIVEN):
        raise ValueError("another model")
    return 1.0


def of(unlearner="newton", *, metric=None, on_error="raise", asked=None, **settings):
    return UnlearningGame(asked or problem(metric=metric), unlearner, on_error=on_error, **settings)


def excluded(made):
    """The coalitions that fail are left out, counted, and not missed by the estimator."""
    assert np.isnan(made(SOME)).all()
    result = shapley_values(made, "permutation", 200)
    assert np.isfinite(result.values).all()
    assert result.excluded > 0


def neighbours(k, groups=GROUPS, **kwargs):
    return problem(KNeighborsClassifier(k).fit(X, Y), groups, metric="accuracy", **kwargs)


UNEQUAL = np.repeat(list("abcd"), [3, 7, 7, 7])


def named(fails):
    """Return the unlearners that a message names as others."""
    with pytest.raises(Exception, match=r"another unlearner \(") as caught:
        fails()
    return re.search(r"another unlearner \((.*?)\)", str(caught.value))[1].split(", ")


EVERY = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool)
#: Settings with which a method diverges, and those that its advice leads to.
DIVERGES: dict[str, list[dict]] = {
    "npo": [{"lr": 3.0}, {"lr": 0.1}, {"lr": 3.0, "steps": 2}, {"lr": 3.0, "beta": 10.0}],
    "simnpo": [{"lr": 10.0}, {"lr": 0.1}, {"lr": 10.0, "steps": 1}],
    "finetune": [{"lr": 10.0}, {"lr": 1.0}, {"lr": 10.0, "steps": 3}],
    "random_label": [{"lr": 10.0}, {"lr": 1.0}, {"lr": 10.0, "steps": 1}],
    "gradient_ascent": [{"lr": 100.0}, {"lr": 1.0}],
    "task_vector": [{"lr": 10.0}, {"lr": 10.0, "lam": 1e-3}, {"lr": 1.0}],
    "anchored": [{"lr": 100.0}, {"lr": 1.0}],
    "graddiff": [{"lr": 100.0}, {"lr": 1.0}],
    "reference_teacher": [{"lr": 100.0}, {"lr": 1.0}],
}


@pytest.mark.parametrize("unlearner", DIVERGES)
def test_the_settings_that_a_method_advises_help(unlearner):
    asked = problem(fit=RECIPE, reference=TEST[0][:10] + 9)
    before, *after = DIVERGES[unlearner]
    with pytest.raises(DivergenceError, match="diverged: the mean loss on the test set") as caught:
        of(unlearner, asked=asked, **before)(EVERY)
    ways = re.split(", | or ", of(unlearner, asked=asked).unlearner.advice)
    assert len(ways) == len(after)
    assert of(unlearner, asked=asked).unlearner.advice in str(caught.value)
    for settings in after:
        plausible(of(unlearner, asked=asked, **settings))


UNLEARNING = [
    Case(
        "unlearning diverges",
        lambda: of("npo", lr=3.0)(EVERY[1:]),
        "use a smaller lr, fewer steps or a larger beta, another unlearner (finetune, ",
        (
            *(lambda ways=ways: plausible(of("npo", **ways)) for ways in DIVERGES["npo"][1:]),
            *(lambda name=name: plausible(of(name)) for name in named(lambda: of("npo", lr=1e6)(SOME))),
        ),
    ),
    Case(
        "unlearning nearly everything diverges",
        lambda: of("npo", lr=1e6)(np.eye(4, dtype=bool)),
        "or on_error='exclude'",
        (lambda: excluded(of(odd(explodes), metric=bounded, on_error="exclude")),),
    ),
    Case(
        "it diverges without a row, and then values cannot do without it",
        lambda: of("npo", lr=1e6)(np.zeros((1, 4), dtype=bool)),
        "a larger beta, or another unlearner (",
        (lambda: plausible(of("newton")),),
    ),
    Case(
        "unlearning fails",
        lambda: of(odd(raises))(SOME),
        "use another unlearner (finetune, ",
        (lambda: plausible(of("finetune")), lambda: excluded(of(odd(raises), on_error="exclude"))),
    ),
    Case(
        "the utility is no number",
        lambda: of(odd(explodes), metric=bounded)(SOME),
        "use another metric, another unlearner (finetune, ",
        (
            lambda: plausible(of(odd(lambda *_: None), metric="accuracy")),
            lambda: plausible(of("finetune", metric=bounded)),
            lambda: excluded(of(odd(explodes), metric=bounded, on_error="exclude")),
        ),
    ),
    Case(
        "the metric fails",
        lambda: of("newton", metric=picky)(SOME),
        "use another metric, or on_error='exclude'",
        (
            lambda: plausible(of("newton", metric="accuracy")),
            lambda: np.testing.assert_array_equal(of("newton", metric=picky, on_error="exclude")(SOME), [np.nan]),
        ),
    ),
    Case(
        "retraining fails",
        lambda: of("retrain", asked=neighbours(7))(np.eye(4, dtype=bool)),
        "use a model that can be trained on few rows, larger groups, or on_error='exclude'",
        (
            lambda: plausible(of("retrain", asked=neighbours(3))),
            lambda: plausible(of("retrain", asked=neighbours(7, np.repeat(["a", "b"], 12)))),
            lambda: plausible_but_for_the_sum(of("retrain", asked=neighbours(7, UNEQUAL), on_error="exclude")),
        ),
    ),
    Case(
        "value has no policy",
        lambda: value(MODEL, (X, Y), TEST, groups=GROUPS, unlearner=odd(raises)),
        "or shapley_values(UnlearningGame(problem, unlearner, on_error='exclude'))",
        (
            lambda: plausible_but_for_the_sum(UnlearningGame(problem(), odd(raises), on_error="exclude")),
            *(lambda name=name: plausible(of(name)) for name in ("finetune", "npo")),
        ),
    ),
    Case(
        "value has no settings",
        lambda: value(MODEL, (X, Y), TEST, groups=GROUPS, unlearner="newton", steps=3),
        "UnlearningGame(problem, unlearner, steps=...), which shapley_values takes, has it",
        (lambda: plausible(shapley_values(UnlearningGame(problem(), "newton", steps=3))),),
    ),
    Case(
        "value has no policy of its own",
        lambda: value(MODEL, (X, Y), TEST, groups=GROUPS, on_error="exclude"),
        "UnlearningGame(problem, unlearner, on_error=...), which shapley_values takes, has it",
        (lambda: plausible(shapley_values(UnlearningGame(problem(), "newton", on_error="exclude"))),),
    ),
    Case(
        "nobody has such an argument",
        lambda: value(MODEL, (X, Y), TEST, settings={"steps": 3}),
        "other arguments are those of ValuationProblem: loss, outputs, metric, groups, valued",
        (lambda: plausible(value(MODEL, (X, Y), TEST, loss="cross_entropy", metric="accuracy", groups=GROUPS)),),
    ),
    Case(
        "value has no argument of nearly that name",
        lambda: value(MODEL, (X, Y), TEST, grups=GROUPS),
        "(did you mean 'groups'?)",
        (lambda: plausible(value(MODEL, (X, Y), TEST, groups=GROUPS)),),
    ),
]


def plausible_but_for_the_sum(made):
    result = shapley_values(made, "permutation")
    assert np.isfinite(result.values).all()
    np.testing.assert_allclose(
        result.missing, result.utility_all - result.utility_none - result.values.sum(), atol=1e-12
    )
    assert result.excluded > 0


# Estimators.


class Additive:
    """A game of somebody else's, in which every player adds its number; some coalitions are excluded."""

    def __init__(self, n, bad=lambda kept: False):
        self.n_players, self.bad = n, bad

    def __call__(self, coalitions):
        worth = coalitions @ np.arange(self.n_players, dtype=float)
        return np.where([self.bad(kept) for kept in coalitions], np.nan, worth)


def exact(game, *args):
    np.testing.assert_allclose(shapley_values(game, *args).values, np.arange(game.n_players), atol=1e-9)


def nearly(game, *args):
    np.testing.assert_allclose(shapley_values(game, *args).values, np.arange(game.n_players), atol=1e-4)


def left_with_one_pair(n=4):
    """Return a game and a seed whose two pairs of permutations leave one of a player."""
    game = Additive(n, lambda kept: kept.tolist() == [True] + [False] * (n - 1))
    for seed in range(100):
        try:
            shapley_values(game, "permutation", 14, seed)
        except BudgetError as error:
            if "has 1 of 2" in str(error):
                return game, seed
    raise AssertionError("no such seed")


ONE, SEED = left_with_one_pair()
SIZE_ONE = Additive(4, lambda kept: kept.sum() == 1)
EMPTY = Additive(4, lambda kept: not kept.any())
FEW = Additive(6, lambda kept: kept.sum() == 3 and kept[0] and kept[1])


class Rough(Additive):
    """Utilities that are off by something else for each coalition."""

    def __call__(self, coalitions):
        return super().__call__(coalitions) + np.cos(coalitions @ np.arange(1, 5) ** 2)


def halved(coalitions):
    """Two metrics of the same game."""
    return np.stack([Additive(4)(coalitions)] * 2, axis=1)


halved.n_players = 4


def by_recipe(rows):
    return RECIPE.train(MODEL, cross_entropy, torch.as_tensor(X[rows]), torch.as_tensor(Y[rows]))


def corrected(game=None, retrainings=12, **kwargs):
    found = corrected_values(game or Rough(4), retrainings, **{"retrained": Additive(4), **kwargs})
    np.testing.assert_allclose(found.values.sum(axis=0), 6, atol=1e-9)
    assert (found.std_errors > 0).all()


CORRECTED = [
    Case(
        "a progress that is no function, of retrainings",
        lambda: corrected(progress=3),
        "use progress=print, or leave it out",
        (lambda: corrected(), lambda: corrected(progress=print)),
    ),
    Case(
        "too few retrainings",
        lambda: corrected(retrainings=5),
        "and their complements, 6 retrainings; give that.",
        (lambda: corrected(retrainings=6),),
    ),
    Case(
        "too few utilities of the cheap game",
        lambda: corrected(budget=9),
        "10 evaluations of 4 players; give that.",
        (lambda: corrected(budget=10),),
    ),
    Case(
        "cheap games that measure different things",
        lambda: corrected([Additive(4), halved]),
        "give all the same metric.",
        (lambda: corrected([halved, halved], retrained=halved),),
    ),
    Case(
        "a cheap game that measures another number of things",
        lambda: corrected(halved),
        "give all the same metric.",
        (lambda: corrected(halved, retrained=halved),),
    ),
    Case(
        "nobody says how to retrain",
        lambda: corrected_values(Additive(4), 12),
        "give an UnlearningGame, or the game of retraining as retrained=.",
        (lambda: plausible(corrected_values(of("newton", asked=problem(fit=RECIPE)), 12)), corrected),
    ),
    Case(
        "no cheap game",
        lambda: corrected_values([], 12),
        "at least one game of unlearned utilities is needed",
        (corrected, lambda: corrected([Rough(4)])),
    ),
    Case(
        "a fit that is no function",
        lambda: corrected_values(of("newton"), 12, fit=MODEL.state_dict()),
        "a function from row numbers to a model is needed",
        (lambda: plausible(corrected_values(of("newton"), 12, fit=by_recipe)),),
    ),
    Case(
        "two ways to retrain",
        lambda: corrected(fit=lambda rows: MODEL),
        "leave out one of them.",
        (corrected, lambda: plausible(corrected_values(of("newton"), 12, fit=by_recipe))),
    ),
    Case(
        "other players",
        lambda: corrected_values(
            of("newton"), 12, retrained=of("retrain", asked=problem(groups=UNEQUAL != "a", fit=RECIPE))
        ),
        "make both with the same groups= and valued=.",
        (lambda: plausible(corrected_values(of("newton"), 12, retrained=of("retrain", asked=problem(fit=RECIPE)))),),
    ),
    Case(
        "an estimator for values that have one",
        lambda: value(MODEL, (X, Y), TEST, groups=GROUPS, fit=RECIPE, estimator="exact", retrainings=12),
        "leave it out, or leave out retrainings.",
        (
            lambda: plausible(value(MODEL, (X, Y), TEST, groups=GROUPS, fit=RECIPE, retrainings=12)),
            lambda: plausible(value(MODEL, (X, Y), TEST, groups=GROUPS, estimator="exact")),
        ),
    ),
    Case(
        "an unlearner that retrains",
        lambda: value(MODEL, (X, Y), TEST, groups=GROUPS, fit=RECIPE, unlearner="retrain", retrainings=12),
        "use another unlearner, or value the game without retrainings.",
        (
            lambda: plausible(value(MODEL, (X, Y), TEST, groups=GROUPS, fit=RECIPE, retrainings=12)),
            lambda: plausible(value(MODEL, (X, Y), TEST, groups=GROUPS, fit=RECIPE, unlearner="retrain")),
        ),
    ),
    Case(
        "values that need no correction",
        lambda: corrected_values(of("newton", asked=problem(fit=RECIPE)), 12, kind="loo"),
        "take semivalues(game, 'loo') with unlearner='retrain', without retrainings.",
        (lambda: semivalues(of("retrain", asked=problem(fit=RECIPE)), "loo").values.round(3).any(),),
    ),
]


ESTIMATORS = [
    Case(
        "a target that is neither a number nor a share",
        lambda: shapley_values(Additive(14), target_error="small"),
        "give a number such as 0.01, or text such as '10%'.",
        (
            lambda: plausible(shapley_values(Additive(14), target_error=0.01)),
            lambda: plausible(shapley_values(Additive(14), target_error="10%")),
        ),
    ),
    Case(
        "a top of all players",
        lambda: shapley_values(Additive(4), stable_top=4),
        "a top is fewer than all of them: give a smaller one.",
        (lambda: plausible(shapley_values(Additive(4), stable_top=3)),),
    ),
    Case(
        "too many players for exact",
        lambda: shapley_values(Additive(30), "exact"),
        "use estimator='stratified', or fewer players (groups)",
        (
            lambda: nearly(Additive(30), "stratified"),
            lambda: plausible(shapley_values(of("newton", asked=problem(groups=GROUPS)), "exact")),
        ),
    ),
    Case(
        "too many players for exact, and a budget that is small for pairs too",
        lambda: shapley_values(Additive(30), "exact", 5),
        "use estimator='stratified' with budget=6, or fewer players",
        (lambda: plausible(shapley_values(Additive(30), "stratified", 6)),),
    ),
    Case(
        "a budget that is too small for exact",
        lambda: shapley_values(Additive(4), "exact", 15),
        "needs all 16 evaluations; give that, or use estimator='stratified'.",
        (lambda: exact(Additive(4), "exact", 16), lambda: plausible(shapley_values(Additive(4), "stratified", 15))),
    ),
    Case(
        "a budget that is too small for exact, and for pairs too",
        lambda: shapley_values(Additive(3), "exact", 5),
        "needs all 8 evaluations; give that.",
        (lambda: exact(Additive(3), "exact", 8),),
    ),
    Case(
        "a budget that is too small for permutations",
        lambda: shapley_values(Additive(5), "permutation", 17),
        "18 evaluations; give that, or use estimator='stratified'.",
        (
            lambda: exact(Additive(5), "permutation", 18),
            lambda: plausible(shapley_values(Additive(5), "stratified", 17)),
        ),
    ),
    Case(
        "a budget that is too small for anything but permutations, which take more",
        lambda: shapley_values(Additive(5), "permutation", 5),
        "18 evaluations; give that.",
        (lambda: exact(Additive(5), "permutation", 18),),
    ),
    Case(
        "a progress that is no function",
        lambda: shapley_values(Additive(5), progress=True),
        "use progress=print, or leave it out",
        (lambda: exact(Additive(5), "auto", None), lambda: plausible(shapley_values(Additive(5), progress=print))),
    ),
    Case(
        "a budget that is too small for two pairs",
        lambda: shapley_values(Additive(5), budget=5),
        "6 evaluations; give that.",
        (lambda: plausible(shapley_values(Additive(5), budget=6)),),
    ),
    Case(
        "a Gaussian process over many players",
        lambda: Stratified(201, 500, 0, "gp"),
        "use 'linear'.",
        (lambda: Stratified(201, 500, 0, "linear").run(Additive(201)),),
    ),
    Case(
        "a surrogate of another name",
        lambda: Stratified(5, 20, 0, "gpp"),
        "(did you mean 'gp'?)",
        (lambda: Stratified(5, 20, 0, "gp").run(Additive(5)),),
    ),
    Case(
        "a budget that is too small for permutations of few players",
        lambda: shapley_values(Additive(3), "permutation", 7),
        "10 evaluations; give that, or use estimator='exact' with budget=8.",
        (lambda: exact(Additive(3), "permutation", 10), lambda: exact(Additive(3), "exact", 8)),
    ),
    Case(
        "somebody's game excludes what exact needs",
        lambda: shapley_values(ONE, "exact"),
        "use a game that excludes none of these, or estimator='permutation', whose result says what the sum of its",
        (lambda: exact(Additive(4), "exact"), lambda: exact(ONE, "permutation")),
    ),
    Case(
        "somebody's game excludes what permutations need too",
        lambda: shapley_values(SIZE_ONE, "exact"),
        "]; use a game that excludes none of these.",
        (lambda: exact(Additive(4), "exact"),),
    ),
    Case(
        "our game excludes what exact needs",
        lambda: shapley_values(of(odd(raises), on_error="exclude"), "exact"),
        "use another unlearner (finetune, ",
        (
            lambda: plausible(shapley_values(of("finetune", on_error="exclude"), "exact")),
            lambda: plausible_but_for_the_sum(of(odd(raises), on_error="exclude")),
        ),
    ),
    Case(
        "somebody's game excludes an end of every permutation",
        lambda: shapley_values(EMPTY, "permutation"),
        "every permutation begins or ends there; use a game that excludes none of these.",
        (lambda: exact(Additive(4), "permutation"),),
    ),
    Case(
        "our game excludes an end of every permutation",
        lambda: shapley_values(of("npo", lr=1e6, on_error="exclude"), "permutation"),
        "begins or ends there; use a smaller lr, fewer steps or a larger beta, or another unlearner (",
        (
            lambda: plausible(shapley_values(of("npo", lr=1e-2, on_error="exclude"), "permutation")),
            lambda: plausible(shapley_values(of("newton", on_error="exclude"), "permutation")),
        ),
    ),
    Case(
        "exclusions leave too few pairs",
        lambda: shapley_values(ONE, "permutation", 14, SEED),
        "use a larger budget, or a game that excludes none of these",
        (lambda: exact(ONE, "permutation", 200, SEED), lambda: exact(Additive(4), "permutation", 14, SEED)),
    ),
    Case(
        "exclusions leave too few pairs of a size",
        lambda: shapley_values(FEW, "stratified", 14, 1),
        "are needed; use a larger budget, or a game that excludes none of these.",
        (
            lambda: plausible(shapley_values(FEW, "stratified", 40, 1)),
            lambda: plausible(shapley_values(Additive(6), "stratified", 14, 1)),
        ),
    ),
    Case(
        "exclusions leave no pair of a size",
        lambda: shapley_values(SIZE_ONE, "stratified"),
        "pairs of coalitions of size 1 and their complements are left, but 1 is needed; use a game that excludes none",
        (lambda: exact(Additive(4), "stratified"),),
    ),
    Case(
        "somebody's game excludes an end of all pairs",
        lambda: shapley_values(EMPTY, "stratified"),
        "the values begin with what separates both ends; use a game that excludes none of these.",
        (lambda: exact(Additive(4), "stratified"),),
    ),
    Case(
        "exclusions leave no pair",
        lambda: shapley_values(SIZE_ONE, "permutation"),
        "but two are needed; use a game that excludes none of these.",
        (lambda: exact(Additive(4), "permutation"),),
    ),
]


# Results.


def several(metric=None):
    metric = metric or {"accuracy": "accuracy", "ll": "log_likelihood"}
    return value(MODEL, (X, Y), TEST, groups=GROUPS, metric=metric)


def drawn():
    assert len(several("accuracy").plot().patches) == 4


def paid(total="100", **options):
    result = several("log_likelihood")
    payments = result.payouts(total, **options).payments
    assert sum(payments) == Decimal(total)
    assert payments[np.argmax(result.values)] == max(payments)


def compared(one, other):
    assert one.compare(other).players == one.players


def of_groups(groups):
    return value(MODEL, (X, Y), TEST, groups=groups)


RESULTS = [
    Case(
        "payouts of several metrics",
        lambda: several().payouts(100.0),
        "pass one of them as metric to value",
        (paid,),
    ),
    Case(
        "payouts of half a cent",
        lambda: paid("100.005"),
        "are needed: give it with two decimal places",
        (lambda: paid("100.01"),),
    ),
    Case(
        "floors that are more than the total",
        lambda: paid(floor=30),
        "give a floor of at most 25.00",
        (lambda: several("accuracy").payouts(100, "25.00"),),
    ),
    Case(
        "a comparison of several metrics",
        lambda: several().compare(several()),
        "pass one of them as metric to value",
        (lambda: compared(several("accuracy"), several("accuracy")),),
    ),
    Case(
        "a comparison of two metrics",
        lambda: several("accuracy").compare(several("log_likelihood")),
        "pass one of them as metric to both",
        (lambda: compared(several("accuracy"), several("accuracy")),),
    ),
    Case(
        "a comparison of different players",
        lambda: of_groups(GROUPS).compare(of_groups(np.repeat(list("abce"), 6))),
        "d, e being in one of them only: value the same groups in both",
        (lambda: compared(of_groups(GROUPS), of_groups(GROUPS[::-1])),),
    ),
    Case(
        "a plot of several metrics",
        lambda: several().plot(),
        "pass one of them as metric to value, or draw to_frame()",
        (drawn, lambda: np.testing.assert_array_equal(several().to_frame()["metric"], ["accuracy"] * 4 + ["ll"] * 4)),
    ),
    Case(
        "one player to be drawn in another colour",
        lambda: several("accuracy").plot(highlight="ab"),
        "give ['ab']",
        (lambda: several("accuracy").plot(highlight=["a"]).patches[0],),
    ),
    Case(
        "no game",
        lambda: shapley_values(problem()),
        "but an UnlearningGame, or a callable with n_players, is needed",
        (lambda: plausible(shapley_values(UnlearningGame(problem()))), lambda: exact(Additive(3))),
    ),
]

# Semivalues.


def additive(kind, *args, n=4):
    """Of such a game all semivalues are the numbers that the players add."""
    result = semivalues(Additive(n), kind, *args)
    np.testing.assert_allclose(result.values, np.arange(n), atol=1e-4)


SEMIVALUES = [
    Case(
        "no such semivalue",
        lambda: semivalues(Additive(4), "banzaf"),
        "(did you mean 'banzhaf'?)",
        (lambda: additive("banzhaf"),),
    ),
    Case(
        "no semivalue of that name with parameters",
        lambda: semivalues(Additive(4), ("bta", 4, 1)),
        "(did you mean 'beta'?)",
        (lambda: additive(("beta", 4, 1)),),
    ),
    Case(
        "Shapley values",
        lambda: semivalues(Additive(4), "shapley"),
        "Shapley values are those of shapley_values",
        (lambda: exact(Additive(4)),),
    ),
    Case(
        "one parameter",
        lambda: semivalues(Additive(4), ("beta", 4)),
        "give two numbers above 0 there, or one of 'banzhaf' and 'loo' as it is",
        (lambda: additive(("beta", 4, 2.5)), lambda: additive("banzhaf"), lambda: additive("loo")),
    ),
    Case(
        "no parameter",
        lambda: semivalues(Additive(4), "beta"),
        "give them, such as ('beta', 4, 1)",
        (lambda: additive(("beta", 4, 1)),),
    ),
    Case(
        "no semivalue at all",
        lambda: semivalues(Additive(4), None),
        "but 'banzhaf', 'loo', ('beta', alpha, beta), or a list of weights is needed",
        tuple(lambda kind=kind: additive(kind) for kind in ("banzhaf", "loo", ("beta", 2, 2), [0.1, 0.2, 0.3, 0.4])),
    ),
    Case(
        "a weight too many",
        lambda: semivalues(Additive(4), [0.2] * 5),
        "give one weight for each number of others, 0 to 3",
        (lambda: additive([0.25] * 4),),
    ),
    Case(
        "weights of another sum",
        lambda: semivalues(Additive(4), [1, 2, 1, 0]),
        "divide them by their sum",
        (lambda: additive(np.array([1, 2, 1, 0]) / 4),),
    ),
    Case(
        "an estimator of Shapley values",
        lambda: semivalues(Additive(4), "banzhaf", "permutation"),
        "use one of auto, exact, stratified",
        tuple(lambda name=name: additive("banzhaf", name) for name in ("auto", "exact", "stratified")),
    ),
    Case(
        "a rule that ends what is computed",
        lambda: semivalues(Additive(4), "loo", max_time=5),
        "not estimated: leave them out",
        (lambda: additive("loo"),),
    ),
    Case(
        "an estimator of what is computed",
        lambda: semivalues(Additive(4), "loo", "stratified"),
        "leave it out",
        (lambda: additive("loo"),),
    ),
    Case(
        "too few evaluations to leave each out",
        lambda: semivalues(Additive(4), "loo", budget=4),
        "need 5 evaluations; give that",
        (lambda: additive("loo", "auto", 5),),
    ),
]


CASES = [*UNLEARNING, *ESTIMATORS, *CORRECTED, *RESULTS, *SEMIVALUES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES, NO_ADVICE) == []


@pytest.mark.parametrize("n", range(2, 7))
def test_pairs_are_advised_where_they_work(n):
    """For every budget that is too small for all coalitions."""
    for budget in range(1 << n):
        with pytest.raises(BudgetError) as caught:
            shapley_values(Additive(n), "exact", budget)
        if "stratified" in str(caught.value):
            plausible(shapley_values(Additive(n), "stratified", budget))
        else:
            with pytest.raises(BudgetError):
                shapley_values(Additive(n), "stratified", budget)
