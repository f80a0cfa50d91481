"""The unlearners that follow gradients: against plain loops, one coalition at a time, written from the formulas."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from problems import breast_cancer, coalitions, early_stopped, reference
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError, DivergenceError, InvalidValueError
from unshap_plugin.model.probes import penultimate
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners import FineTune, ReferenceTeacher, SimNPO, TaskVector
from unshap_plugin.unlearners._ascent import loss_bound
from unshap_plugin.unlearners._reference import nearest_rows


def made(**kwargs):
    return early_stopped(hidden=5, **kwargs)


def cross_entropies(model, x, y):
    return F.cross_entropy(model(x), y, reduction="none")


def adam(problem, start, scale, objective, steps, lr):
    """Minimise ``objective(model, step)`` by torch's own Adam: it moves ``u`` in ``theta = start + scale u``."""
    moved = [torch.zeros_like(p) for p in start]
    optimizer = torch.optim.Adam(moved, lr=lr)
    names = [name for name, _ in problem.model.named_parameters()]
    for step in range(steps):
        theta = {name: (p + scale * u).requires_grad_() for name, p, u in zip(names, start, moved, strict=True)}
        value = objective(lambda x, theta=theta: torch.func.functional_call(problem.model, theta, x), step)
        for u, gradient in zip(moved, torch.autograd.grad(value, list(theta.values())), strict=True):
            u.grad = gradient
        optimizer.step()
    return torch.cat([(p + scale * u).flatten() for p, u in zip(start, moved, strict=True)])


def batches(mine, s, seed=0):
    """For each step the rows that are taken, and how many of the rows in question there are for each of them."""
    n, size = len(mine), s["batch_size"]
    rows = mine.nonzero().flatten().tolist()
    if size is None or len(rows) <= size:
        return [(rows, 1.0)] * s["steps"]
    rng, found = np.random.default_rng(np.random.SeedSequence([seed, n])), []
    while len(found) < s["steps"]:
        own = [row for row in rng.permutation(n).tolist() if row in rows]
        found += [own[begin : begin + size] for begin in range(0, len(own), size)]
    return [(batch, len(rows) / len(batch)) for batch in found]


def given(problem):
    return [p.detach().clone() for p in problem.model.parameters()]


def bounds(problem):
    with torch.no_grad():
        outputs = problem.model(problem.x)
        losses = F.cross_entropy(outputs, problem.y, reduction="none")
        uninformed = F.cross_entropy(outputs.mean(dim=0).expand_as(outputs), problem.y)
    return torch.clamp(losses, min=float(uninformed)), uninformed - losses.min()


def ascent(problem, model, rows, factor):
    cap, span = bounds(problem)
    losses = cross_entropies(model, problem.x[rows], problem.y[rows])
    c = ((cap[rows] - losses.detach()) / span).clamp(-1, 1)
    return -(c * losses).sum() * factor / len(problem.y)


def divergence(model, x, target, rows):
    return F.kl_div(model(x[rows]).log_softmax(dim=1), target[rows], reduction="batchmean")


def shrunken(problem, shrink, share):
    init = [problem.recipe.init[name] for name, _ in problem.model.named_parameters()]
    return [p + shrink * share**2 * (q - p) for p, q in zip(given(problem), init, strict=True)]


def centre(problem, model):
    """The inner product of the parameters with the gradient of the mean loss of all rows at the given ones."""
    names = [name for name, _ in problem.model.named_parameters()]
    leaf = copy.deepcopy(problem.model)
    gradients = torch.autograd.grad(cross_entropies(leaf, problem.x, problem.y).mean(), list(leaf.parameters()))
    return lambda theta: sum((g * theta[name]).sum() for name, g in zip(names, gradients, strict=True))


def with_theta(objective):
    """Hand an objective the parameters too: they are what the model was called with."""

    def of(model, step):
        theta = model.__defaults__[0]
        return objective(model, theta, step)

    return of


def naive_finetune(problem, keep, s):
    share = 1 - keep.double().mean()
    inner, taken = centre(problem, problem.model), batches(keep, s)

    def objective(model, theta, step):
        rows, factor = taken[step]
        descent = cross_entropies(model, problem.x[rows], problem.y[rows]).sum() * factor / keep.sum()
        return descent - inner(theta)

    start = shrunken(problem, s["shrink"], share)
    return adam(problem, start, share, with_theta(objective), s["steps"], s["lr"])


def naive_graddiff(problem, keep, s):
    share = 1 - keep.double().mean()
    inner, taken = centre(problem, problem.model), batches(torch.ones_like(keep), s)

    def objective(model, theta, step):
        rows, factor = taken[step]
        kept, forgotten = ([row for row in rows if keep[row] == which] for which in (True, False))
        descent = cross_entropies(model, problem.x[kept], problem.y[kept]).sum() * factor / keep.sum()
        rise = ascent(problem, model, forgotten, factor)
        return s["alpha"] * (descent - inner(theta)) + s["gamma"] * (1 - share) * rise

    start = shrunken(problem, s["shrink"], share)
    return adam(problem, start, share, with_theta(objective), s["steps"], s["lr"])


def naive_gradient_ascent(problem, keep, s):
    share, taken = 1 - keep.double().mean(), batches(~keep, s)
    return adam(problem, given(problem), share, lambda m, k: ascent(problem, m, *taken[k]), s["steps"], s["lr"])


def naive_anchored(problem, keep, s):
    share = 1 - keep.double().mean()
    x = problem.reference[0]
    taken, anchors = batches(~keep, s), batches(torch.ones(len(x), dtype=torch.bool), s)
    with torch.no_grad():
        target = problem.model(x).softmax(dim=1)

    def objective(model, step):
        anchor = divergence(model, x, target, anchors[step][0])
        return ascent(problem, model, *taken[step]) + s["anchor"] * (1 - share) * anchor

    return adam(problem, given(problem), share, objective, s["steps"], s["lr"])


def naive_reference_teacher(problem, keep, s):
    share = 1 - keep.double().mean()
    x = problem.reference[0]
    with torch.no_grad():
        outputs, mine = problem.model(x), problem.model(problem.x)
        target, hidden = outputs.softmax(dim=1), problem.model[:2]
        a, b = F.normalize(hidden(problem.x), dim=1), F.normalize(hidden(x), dim=1)
        taught, worse = [], []
        for row in range(len(problem.y)):
            near = (b - a[row]).norm(dim=1).argsort()[: s["neighbors"]]
            taught.append(target[near].mean(dim=0))
            label = problem.y[row : row + 1]
            one, other = outputs[near].mean(dim=0, keepdim=True), mine[row : row + 1]
            worse.append(bool(F.cross_entropy(one, label) > F.cross_entropy(other, label)))
    lessons = ~keep & torch.tensor(worse)
    assert lessons.any()
    taught = torch.stack(taught)
    taken, lesson_rows, anchors = (batches(rows, s) for rows in (~keep, lessons, torch.ones(len(x), dtype=torch.bool)))

    def objective(model, step):
        rows, factor = lesson_rows[step]
        scores = model(problem.x[rows]).log_softmax(dim=1)
        lesson = -(taught[rows] * scores).sum() * factor / len(keep)
        anchor = divergence(model, x, target, anchors[step][0])
        rest = s["teacher"] * lesson + s["anchor"] * anchor
        return ascent(problem, model, *taken[step]) + (1 - share) * rest

    return adam(problem, given(problem), share, objective, s["steps"], s["lr"])


def naive_pseudo_background(problem, keep, s):
    x, kept = problem.reference[0], keep.nonzero().flatten()
    absent = problem.trained_rows - len(keep)
    with torch.no_grad():
        target = problem.model(x).softmax(dim=1)
    whole = torch.ones(len(x), dtype=torch.bool)

    def path(retained):
        taken, standing = batches(retained, s), batches(whole, s)
        start = [
            p + s["shrink"] * (problem.recipe.init[name] - p)
            for (name, _), p in zip(problem.model.named_parameters(), given(problem), strict=True)
        ]

        def objective(model, step):
            (rows, factor), (others, more) = taken[step], standing[step]
            own = cross_entropies(model, problem.x[rows], problem.y[rows]).sum() * factor
            scores = model(x[others]).log_softmax(dim=1)
            means = -(target[others] * scores).sum() * more / len(x)
            return (own + absent * means) / (absent + retained.sum())

        return adam(problem, start, 1.0, objective, s["steps"], s["lr"])

    assert len(kept)
    before = torch.cat([p.flatten() for p in given(problem)])
    return before + path(keep) - path(torch.ones_like(keep))


def naive_npo(problem, keep, s):
    share, taken = 1 - keep.double().mean(), batches(~keep, s)
    with torch.no_grad():
        before = cross_entropies(problem.model, problem.x, problem.y)

    def objective(model, step):
        rows, factor = taken[step]
        ratio = torch.exp(s["beta"] * (before[rows] - cross_entropies(model, problem.x[rows], problem.y[rows])))
        return 2 / s["beta"] * torch.log(1 + ratio).sum() * factor / len(keep)

    return adam(problem, given(problem), share, objective, s["steps"], s["lr"])


def naive_simnpo(problem, keep, s):
    share, taken = 1 - keep.double().mean(), batches(~keep, s)

    def objective(model, step):
        rows, factor = taken[step]
        scaled = s["beta"] * cross_entropies(model, problem.x[rows], problem.y[rows]) - s["margin"]
        return -2 / s["beta"] * torch.log(torch.sigmoid(scaled)).sum() * factor / len(keep)

    return adam(problem, given(problem), share, objective, s["steps"], s["lr"])


def naive_random_label(problem, keep, s):
    share, taken = 1 - keep.double().mean(), batches(~keep, s)
    other = 1 - problem.y  # of two classes

    def objective(model, step):
        rows, factor = taken[step]
        return cross_entropies(model, problem.x[rows], other[rows]).sum() * factor / len(keep)

    return adam(problem, given(problem), share, objective, s["steps"], s["lr"])


def naive_task_vector(problem, keep, s):
    flat = torch.cat([p.flatten() for p in given(problem)])
    total = flat.clone()
    for player in set(problem.player_of_row[~keep.numpy()].tolist()):
        mine = torch.as_tensor(problem.player_of_row == player)
        taken = [rows for rows, _ in batches(mine, s)]
        tuned = adam(
            problem,
            given(problem),
            mine.double().mean(),
            lambda m, k, taken=taken: cross_entropies(m, problem.x[taken[k]], problem.y[taken[k]]).mean(),
            s["steps"],
            s["lr"],
        )
        total -= s["lam"] * (tuned - flat)
    return total


NAIVE = {name.removeprefix("naive_"): function for name, function in globals().items() if name.startswith("naive_")}


@pytest.mark.parametrize("batch_size", [None, 6])
@pytest.mark.parametrize("name", sorted(NAIVE))
def test_equals_the_plain_loop_of_its_formula(name, batch_size):
    players = np.repeat(np.arange(5), [3, 5, 8, 10, 14])
    problem = made(groups=players)
    unlearner = resolve_unlearner(name, {"batch_size": batch_size})
    matrix = coalitions(6, 5, seed=2)
    matrix = matrix[matrix.any(axis=1) & ~matrix.all(axis=1)]
    assert len(matrix) >= 3
    models = unlearner.unlearn(problem, matrix, seed=0)
    flat = problem.engine.flatten(models.state)
    for row, coalition in enumerate(matrix):
        keep = torch.as_tensor(coalition[players])
        expected = NAIVE[name](problem, keep, unlearner.settings)
        assert not torch.allclose(expected, problem.engine.flatten(problem.engine.stack(1))[0], atol=1e-4)
        torch.testing.assert_close(flat[row], expected, atol=1e-7, rtol=1e-7)


def test_simnpo_takes_a_margin():
    problem, matrix = made(), coalitions(3, 40, seed=2)
    margin, none = SimNPO(margin=3.0), SimNPO().unlearn(problem, matrix, 0).state
    found = problem.engine.flatten(margin.unlearn(problem, matrix, 0).state)
    for row, keep in enumerate(torch.as_tensor(matrix)):
        expected = naive_simnpo(problem, keep, margin.settings)
        torch.testing.assert_close(found[row], expected, atol=1e-7, rtol=1e-7)
    assert not torch.allclose(found, problem.engine.flatten(none), atol=1e-4)


def test_finetune_shrinks_matrices_to_zero_where_the_initial_parameters_are_not_known():
    known = early_stopped(hidden=4)
    data = (known.x, known.y), (known.x_test, known.y_test)
    problem = ValuationProblem(known.model, *data, metric="log_likelihood")
    none = np.zeros((1, problem.n_players), dtype=bool)
    state = FineTune(shrink=1.0).unlearn(problem, none, 0).state
    for name, p in problem.engine.theta0.items():
        assert torch.equal(state[name][0], torch.zeros_like(p) if p.ndim > 1 else p), name


def test_task_vectors_add_up(problem):
    full = np.ones(problem.n_players, dtype=bool)
    one, two, both = (full.copy() for _ in range(3))
    one[3] = two[7] = both[3] = both[7] = False
    state = TaskVector().unlearn(problem, np.array([one, two, both]), 0).state
    for name, p in problem.engine.theta0.items():
        a, b, c = (state[name][k] - p for k in range(3))
        torch.testing.assert_close(a + b, c, atol=1e-12, rtol=1e-9)


def test_the_bound_leaves_rows_at_their_bound_alone_and_leads_back_beyond():
    problem = made()
    bound = loss_bound(problem)
    weights = torch.tensor([-1.0, -1.0, -1.0, 2.0], dtype=torch.float64)
    cap = bound.cap[:4]
    losses = torch.stack([cap[0] - bound.span / 2, cap[1], cap[2] + bound.span, cap[3] + bound.span]).requires_grad_()
    (gradient,) = torch.autograd.grad(bound(losses, weights, cap).sum(), losses)
    expected = torch.tensor([-0.5, 0, 1, 2], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=0)


def test_features_are_those_before_the_last_layer():
    problem = made()
    expected = F.normalize(problem.model[:2](problem.x), dim=1).detach()
    torch.testing.assert_close(penultimate(problem.model, problem.x), expected)
    linear = early_stopped()
    torch.testing.assert_close(penultimate(linear.model, linear.x), F.normalize(linear.x, dim=1))


def test_nearest_rows_are_the_nearest_ones():
    rng = np.random.default_rng(0)
    a, b = torch.as_tensor(rng.normal(size=(1500, 3))), torch.as_tensor(rng.normal(size=(40, 3)))
    near = nearest_rows(a, b, 4)
    distances = (a[:, None] - b).norm(dim=2)
    np.testing.assert_array_equal(near.sort(dim=1).values, distances.argsort(dim=1)[:, :4].sort(dim=1).values)


@pytest.mark.parametrize("name", ["anchored", "reference_teacher"])
def test_without_a_reference_set_it_refuses(name):
    problem = early_stopped(reference=None)
    with pytest.raises(AccessError, match=f"unlearner '{name}' needs access to FORGET, REFERENCE"):
        UnlearningGame(problem, name)


def test_more_neighbours_than_reference_rows_are_all_of_them():
    problem = made()
    few, many = (ReferenceTeacher(neighbors=k) for k in (30, 1000))
    matrix = coalitions(4, problem.n_players)
    a, b = (one.unlearn(problem, matrix, 0).outputs(problem.x_test) for one in (few, many))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("graddiff", "gamma", -1.0),
        ("graddiff", "shrink", 1.5),
        ("finetune", "shrink", 2),
        ("anchored", "anchor", float("nan")),
        ("reference_teacher", "neighbors", 0),
        ("npo", "beta", 0.0),
        ("simnpo", "beta", 0.0),
        ("simnpo", "margin", -1.0),
        ("random_label", "lr", 0.0),
        ("finetune", "batch_size", 0),
        ("task_vector", "lam", -0.1),
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(name, setting, value):
    with pytest.raises(InvalidValueError, match=f"^{setting} is "):
        resolve_unlearner(name, {setting: value})


def test_a_loss_beyond_the_bound_is_a_divergence_with_advice():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    recipe = Recipe("sgd", lr=0.1, epochs=5, batch_size=None, init=model)
    problem = ValuationProblem(model, (x, y), (x + 1, y), loss="mse", metric="neg_mean_squared_error", fit=recipe)
    one = np.ones((1, 40), dtype=bool)
    one[0, 20:] = False
    game = UnlearningGame(problem, "npo", lr=50.0)
    with pytest.raises(DivergenceError) as caught:
        game(one)
    message = str(caught.value)
    assert (
        "unlearner 'npo' (steps=10, lr=50.0, batch_size=None, beta=0.1) diverged: the mean loss on the test set is"
        in message
    )
    assert "100 times that of an uninformed model, for the coalition that keeps 20 of 40 players" in message
    assert "; use a smaller lr, fewer steps or a larger beta, another unlearner (finetune, graddiff, " in message
    assert message.endswith(", or on_error='exclude'.")
    tolerant = UnlearningGame(problem, "npo", lr=50.0, on_error="exclude")
    assert np.isnan(tolerant(one)).all()
    assert tolerant.excluded == 1


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize(
    "name", ["anchored", "reference_teacher", "graddiff", "npo", "simnpo", "random_label", "task_vector"]
)
def test_other_losses_work(name, loss):
    (x, y), (x_test, y_test) = breast_cancer()
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    recipe = Recipe("adam", lr=0.05, epochs=5, batch_size=8, init=start)
    from unshap_plugin.losses import LOSSES

    rows, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)[:, None]
    model = recipe.train(start, LOSSES[loss], rows, labels)
    problem = ValuationProblem(
        model,
        (x, labels),
        (x_test, y_test[:, None]),
        loss=loss,
        metric="neg_loss",
        reference=reference(),
        fit=recipe,
    )
    values = UnlearningGame(problem, name)(coalitions(5, 40))
    assert np.isfinite(values).all()
    assert len(np.unique(values)) == 5
