"""What is checked of a metric, which may be anybody's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unshap_plugin import Metric, UnlearningGame, ValuationProblem
from unshap_plugin.errors import ContractError, InvalidTypeError, InvalidValueError

COALITIONS = np.array([[True, False, True], [False, False, False], [True, True, True]])


def problem(score, parts=()):
    torch.manual_seed(0)
    x = torch.randn(30, 3)
    y = torch.tensor([0, 1] * 15)
    metric = Metric("mine", score, parts)
    return ValuationProblem(torch.nn.Linear(3, 2), (x, y), (x, y), groups=np.arange(30) % 3, metric=metric)


def drawn(outputs, targets):
    return torch.rand(len(outputs))


def in_place(outputs, targets):
    targets.zero_()
    return outputs.mean(dim=(1, 2))


def on_outputs(outputs, targets):
    return outputs.zero_().mean(dim=(1, 2))


def left(outputs, targets):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("score", "error", "why"),
    [
        (lambda outputs, targets: 0.5, InvalidTypeError, "metric 'mine' returned a float, but a tensor"),
        (lambda outputs, targets: None, InvalidTypeError, "metric 'mine' returned a NoneType, but a tensor"),
        (lambda outputs, targets: np.zeros(len(outputs)), InvalidTypeError, "returned a ndarray, but a tensor"),
        (lambda outputs, targets: outputs.mean(), InvalidValueError, "gave shape [] for 1 models, but [m] or [m, t]"),
        (lambda outputs, targets: outputs, InvalidValueError, "gave shape [1, 30, 2] for 1 models, but [m] or [m, t]"),
        (lambda outputs, targets: torch.zeros(len(outputs), 0), InvalidValueError, "gave shape [1, 0] for 1 models"),
        (drawn, InvalidValueError, "metric 'mine' drew from the global random generator of torch"),
        (in_place, InvalidValueError, "metric 'mine' changed the outputs or the targets in place"),
        (on_outputs, InvalidValueError, "metric 'mine' changed the outputs or the targets in place"),
        (left, InvalidValueError, "metric 'mine' cannot be computed from outputs [30, 2] and targets [30] (SystemExit"),
    ],
)
def test_a_metric_that_breaks_its_contract_is_refused_and_does_no_harm(score, error, why):
    x, y, model = torch.randn(30, 3), torch.tensor([0, 1] * 15), torch.nn.Linear(3, 2)
    state = torch.get_rng_state()
    with pytest.raises(error) as caught:
        ValuationProblem(model, (x, y), (x, y), metric=Metric("mine", score))
    assert why in str(caught.value)
    assert y.tolist() == [0, 1] * 15, "the targets are the user's"
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_of_torch_that_a_metric_leaves_changed_are_put_back():
    def careless(outputs, targets):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return outputs.mean(dim=(1, 2))

    assert np.isfinite(UnlearningGame(problem(careless), "finetune", steps=1)(COALITIONS)).all()
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)


def test_a_metric_that_mixes_models_is_refused():
    """One number for all of them would be taken for that of each."""
    mixed = problem(lambda outputs, targets: outputs.mean()[None])
    with pytest.raises(ContractError, match=r"metric 'mine' gave shape \[1\] for 2 models, but \[2\] is needed"):
        UnlearningGame(mixed, "influence")(COALITIONS)


def test_a_metric_whose_shape_depends_on_the_models_is_refused():
    odd = problem(lambda outputs, targets: torch.zeros(len(outputs), len(outputs)))
    with pytest.raises(ContractError, match=r"metric 'mine' gave shape \[2, 2\] for 2 models, but \[2, 1\] is"):
        UnlearningGame(odd, "influence")(COALITIONS)


def test_the_names_of_the_columns_are_as_many_as_these():
    with pytest.raises(
        InvalidValueError, match=r"metric 'mine' gave shape \[1, 3\] for 1 models, but \[1, 2\] is needed"
    ):
        problem(lambda outputs, targets: torch.zeros(len(outputs), 3), ("a", "b"))
