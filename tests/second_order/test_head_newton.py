"""Closed forms of losses against automatic differentiation, and Newton by conjugate gradients against other solvers."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unshap_plugin import Recipe
from unshap_plugin.losses import binary_cross_entropy_with_logits, cross_entropy, mse
from unshap_plugin.model.engine import Engine
from unshap_plugin.second_order.curvature import second_order
from unshap_plugin.second_order.head_newton import EigenvaluePreconditioner, HeadNewton
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.second_order.row_loss import AnyLoss, Logistic, Softmax, SoftmaxOfSigmoids

torch.manual_seed(0)
X = torch.randn(40, 5, dtype=torch.float64)
LABELS = torch.randint(0, 3, (40,))
SHARES = torch.rand(40, 3, dtype=torch.float64).softmax(dim=1)
ONES = F.one_hot(LABELS, 3).double()


def of_probabilities(outputs, targets):
    return F.binary_cross_entropy(outputs, targets, reduction="none").mean(dim=1)


def own(outputs, targets):
    return (outputs - targets).abs().pow(1.5).sum(dim=1)


LOSSES = {
    "softmax": (nn.Linear(5, 3), cross_entropy, LABELS, Softmax),
    "shares": (nn.Linear(5, 3), cross_entropy, SHARES, Softmax),
    "logistic": (nn.Linear(5, 1), binary_cross_entropy_with_logits, ONES[:, :1], Logistic),
    "several logistic": (nn.Linear(5, 3), binary_cross_entropy_with_logits, ONES, Logistic),
    "sigmoids": (nn.Sequential(nn.Linear(5, 3), nn.Sigmoid()), of_probabilities, ONES, Logistic),
    "softmax of sigmoids": (nn.Sequential(nn.Linear(5, 3), nn.Sigmoid()), cross_entropy, LABELS, SoftmaxOfSigmoids),
    "squares": (nn.Linear(5, 3), mse, ONES, AnyLoss),
    "of tanh": (nn.Sequential(nn.Linear(5, 3), nn.Tanh()), cross_entropy, LABELS, AnyLoss),
    "own": (nn.Linear(5, 3), own, SHARES, AnyLoss),
}
EVERY = pytest.mark.parametrize(("module", "loss", "y", "kind"), LOSSES.values(), ids=LOSSES)


def head_of(module, loss, y):
    return LinearHead.of(Engine(module.double(), loss), X, y)


@EVERY
def test_derivatives_are_those_of_autograd(module, loss, y, kind):
    head = head_of(module, loss, y)
    assert type(head.row_loss) is kind
    c, rows = head.n_outputs, len(head.columns)
    assert rows == 64
    scores = 2 * torch.randn(4, c, rows, dtype=torch.float64)
    found, weights = head.row_loss(scores), torch.rand(4, 1, rows, dtype=torch.float64)
    vectors = torch.randn(4, c, rows, dtype=torch.float64)
    products = found.weighted(weights)(vectors.clone())[:, :, :40]
    tail = nn.Sequential(*list(module)[1:]) if isinstance(module, nn.Sequential) else nn.Identity()
    for k in range(4):
        leaf = scores[k, :, :40].T.clone().requires_grad_()
        losses = loss(tail(leaf), y)
        (first,) = torch.autograd.grad(losses.sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first * vectors[k, :, :40].T).sum(), leaf)
        torch.testing.assert_close(found.losses()[k, :40], losses.detach(), atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(found.first[k, :, :40].T, first.detach(), atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(products[k].T, weights[k, :, :40].T * second, atol=1e-8, rtol=1e-8)


@EVERY
def test_several_vectors_at_one_point(module, loss, y, kind):
    head = head_of(module, loss, y)
    scores, weights = torch.randn(1, head.n_outputs, 64, dtype=torch.float64), torch.rand(3, 1, 64).double()
    vectors = torch.randn(3, head.n_outputs, 64, dtype=torch.float64)
    found = head.row_loss(scores).weighted(weights)(vectors.clone())
    expected = head.row_loss(scores.expand(3, -1, -1)).weighted(weights)(vectors)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def centred(module, loss, y, l2, dtype=torch.float64):
    engine, x = Engine(copy.deepcopy(module).to(dtype), loss), X.to(dtype)
    y = y.to(dtype) if y.is_floating_point() else y
    objective = Objective(engine, x, y, second_order(engine, x, y), Recipe(l2=l2))
    objective.centre(0.5)
    return objective


@pytest.mark.parametrize("name", ["softmax", "logistic", "several logistic", "sigmoids", "squares"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 0.1)])
def test_steps_are_those_with_a_matrix_for_each_coalition(name, dtype, tolerance):
    """In double precision the same, in single precision roughly; the objective is as low as theirs."""
    module, loss, y, _ = LOSSES[name]
    objective = centred(module, loss, y, 0.3, dtype)
    weights = (torch.rand(12, 40) < torch.rand(12, 1)).to(dtype)
    found, exact = HeadNewton(objective).minimise(weights, 10)[0], objective.descend(weights, 10)
    torch.testing.assert_close(found, exact, atol=tolerance * float(exact.abs().max()), rtol=0)
    values = objective.value(found, weights), objective.value(exact, weights)
    torch.testing.assert_close(*values, atol=tolerance / 10, rtol=tolerance / 10)


def test_a_step_that_leads_upwards_is_halved():
    """Far from the optimum, a full Newton step of a logistic regression overshoots."""
    module = nn.Linear(5, 1).double()
    nn.init.constant_(module.weight, 4.0)
    objective = centred(module, binary_cross_entropy_with_logits, 1 - (X.sum(dim=1, keepdim=True) > 0).double(), 0.0)
    weights = torch.ones(3, 40, dtype=torch.float64)
    weights[1, ::2], weights[2, :35] = 0.0, 0.0
    start = objective.value(objective.given.expand(3, -1), weights)
    for steps in (1, 2, 6):
        reached = objective.value(HeadNewton(objective).minimise(weights, steps)[0], weights)
        assert (reached <= start + 1e-9).all()


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_bit_depends_on_the_other_coalitions(module, loss, y, kind, dtype):
    solver = HeadNewton(centred(module, loss, y, 0.3, dtype))
    weights = (torch.rand(11, 40) < 0.6).to(dtype)
    whole = solver.minimise(weights, 4)[0]
    for few in (slice(0, 1), slice(2, 5), slice(10, 11)):
        some = solver.minimise(weights[few], 4)[0]
        if kind is AnyLoss:
            torch.testing.assert_close(some, whole[few], atol=1e-4 if dtype == torch.float32 else 1e-10, rtol=0)
        else:
            assert torch.equal(some, whole[few])


@pytest.mark.parametrize("m", [8, 16, 21])
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_those_that_go_on_are_not_taken_for_others(m, steps):
    """Some settle sooner: which ones go on, and how many, changes nothing for any of them."""
    module, loss, y, _ = LOSSES["softmax"]
    solver = HeadNewton(centred(module, loss, y, 0.3))
    kept = torch.linspace(0, 1, m)  # from none to all rows, which is what they start from
    weights = (torch.rand(m, 40, generator=torch.Generator().manual_seed(m)) < kept[:, None]).double()
    whole = solver.minimise(weights, steps)[0]
    order = torch.randperm(m, generator=torch.Generator().manual_seed(1))
    assert torch.equal(solver.minimise(weights[order], steps)[0], whole[order])
    for k in range(m):
        assert torch.equal(solver.minimise(weights[k : k + 1], steps)[0][0], whole[k])


def test_the_preconditioner_solves_what_it_is_for():
    a = torch.randn(3, 6, 6, dtype=torch.float64)
    matrices, diagonal = a @ a.mT, torch.rand(3, 6, dtype=torch.float64) + 0.1
    share, vectors = torch.rand(5, 1, 1, dtype=torch.float64), torch.randn(5, 3, 6, dtype=torch.float64)
    found = EigenvaluePreconditioner(matrices, diagonal).solver(share)(vectors)
    for m in range(5):
        for k in range(3):
            matrix = share[m, 0, 0] * matrices[k] + torch.diag(diagonal[k])
            torch.testing.assert_close(matrix @ found[m, k], vectors[m, k], atol=1e-3, rtol=1e-3)  # half the digits
