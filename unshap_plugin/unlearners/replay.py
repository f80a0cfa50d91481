"""``replay``: the training on the retained rows in a few large steps, corrected to end at the given model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import AccessError, check_integer
from unshap_plugin.model.stacks import Theta, per_copy, row_weights
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._displacement import initial_parameters
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["Replay"]

#: Largest step of a parameter. Longer macro steps made deep networks diverge.
_CAP = 0.03
#: Last iterates that are averaged, which damps the oscillation of Adam's large steps.
_AVERAGED = 3
#: How fast the replay takes over from the given parameters as rows are forgotten: by ``1 - share^8``.
_FADE = 8


@dataclass(frozen=True)
class Replay(Unlearner):
    """Follow the expected path of Adam on the retained rows, in few steps, and correct it by what it misses.

    ``theta(R) = theta_0 + (1 - s^8) (path(R) + s (theta_0 - path(N)) - theta_0)``, ``s = |R| / n`` the retained share.
    ``path(R)`` starts from the initial parameters of the recipe and takes ``K`` macro steps, each standing for
    ``h = epochs * batches(R) / K`` steps of Adam: the full-batch gradient drives both moments, the second is raised by
    the variance of a minibatch's gradient, and decay and bias correction take powers ``h``. What the path of all rows
    misses of the given parameters corrects the others, as a control variate does. The factor ``1 - s^8`` makes the
    removal of little change little, where a network would amplify it; without a retained row the result is the
    initial model. A method of this project: no other source for the whole is known to us.

    Access: forget and retain rows, the initial parameters, and a recipe of Adam at a constant rate. Cost per coalition:
    ``K`` gradients of the retained rows. Error: between that of doing nothing and the noise of the training seed, at a
    fifth of the cost of retraining (``benchmarks/networks.py``).

    Parameters
    ----------
    steps
        Macro steps, ``K``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a setting has a value that cannot be used.

    Examples
    --------
    >>> from unshap_plugin import Recipe, value
    >>> from unshap_plugin.losses import cross_entropy
    >>> x, wrong = torch.linspace(-3, 3, 12)[:, None], torch.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, ((x[:, 0] > 0) ^ wrong).long()), (x, (x[:, 0] > 0).long())
    >>> start = torch.nn.Linear(1, 2)
    >>> recipe = Recipe("adam", lr=0.1, epochs=50, batch_size=4, init=start)
    >>> model = recipe.train(start, cross_entropy, *train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, fit=recipe, unlearner=Replay()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "replay"
    summary: ClassVar[str] = (
        "Follows Adam on the retained rows in a few large steps, for networks whose training is known."
    )
    source: ClassVar[str] = "this project"
    needs: ClassVar[Access] = Access.RETAIN
    advice: ClassVar[str] = "more steps"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (5, 10, 20, 40)}

    steps: int = 20

    def __post_init__(self) -> None:
        """Check the settings."""
        check_integer("steps", self.steps, _AVERAGED)

    def _check(self, problem: ModuleProblem) -> None:
        recipe = problem.recipe
        if recipe is None or recipe.init is None or recipe.optimizer != "adam" or set(recipe.options) - {"betas"}:
            remedy = (
                ": pass fit=Recipe('adam', init=...) to the problem"
                if problem.linear is None
                else f", but {problem.model_name} is fitted otherwise"
            )
            raise AccessError(
                f"unlearner 'replay' needs to know the initial parameters and a recipe of plain Adam{remedy}"
            )
        if recipe.scheduled or recipe.clip is not None:
            setting = "schedule" if recipe.schedule != "constant" else "warmup" if recipe.warmup else "clip"
            raise AccessError(
                f"unlearner 'replay' follows Adam at a constant rate without clipping, but the recipe has "
                f"{setting}={getattr(recipe, setting)!r}"
            )

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:  # noqa: ARG002
        engine, retained = problem.engine, problem.retained(coalitions)
        whole = problem.once(_whole_path, self.steps)
        share = retained.to(engine.dtype).mean(dim=1)
        theta = {}
        for name, path in _path(problem, self.steps, retained).items():
            given = engine.theta0[name]
            corrected = path + per_copy(share, path) * (given - whole[name])
            theta[name] = given + per_copy(1 - share**_FADE, path) * (corrected - given)
        return StackedModels(engine, theta)


def _whole_path(problem: ModuleProblem, steps: int) -> Theta:
    """Return where the path of all rows ends, ``[1, *shape]``."""
    return _path(problem, steps, torch.ones(1, len(problem.y), dtype=torch.bool, device=problem.y.device))


def _path(problem: ModuleProblem, steps: int, retained: Tensor) -> Theta:
    """Return where the path ends for every coalition, ``[m, *shape]``."""
    engine, recipe = problem.engine, problem.recipe
    assert recipe is not None
    initial = problem.once(initial_parameters)
    assert initial is not None
    theta = {name: p.expand(len(retained), *p.shape).clone() for name, p in initial.items()}
    weights, count = row_weights(retained, engine.dtype), retained.sum(dim=1).to(engine.dtype)
    batch = count.clamp(min=1, max=recipe.batch_size or len(problem.y))
    length = recipe.epochs * torch.ceil(count / batch) / steps  # steps of Adam in a macro step
    noise = ((count - batch) / (count - 1).clamp(min=1)).clamp(min=0) / batch  # drawn without replacement
    start, end = problem.once(_row_variances)
    betas = recipe.options.get("betas", (0.9, 0.999))
    first, second, average = ({name: torch.zeros_like(p) for name, p in theta.items()} for _ in range(3))
    for step in range(steps):
        gradients = engine.gradients(theta, weights, problem.x, problem.y)
        corrections = [(1 - beta ** ((step + 1) * length)).clamp(min=1e-9) for beta in betas]
        for name, p in theta.items():
            gradient = gradients[name] + per_copy(recipe.strength(name) / count.clamp(min=1), p) * p
            variance = start[name].lerp(end[name], step / steps)
            decay = [per_copy(beta**length, p) for beta in betas]
            first[name] = decay[0] * first[name] + (1 - decay[0]) * gradient
            square = gradient.square() + per_copy(noise, p) * variance
            second[name] = decay[1] * second[name] + (1 - decay[1]) * square
            scale = (second[name] / per_copy(corrections[1], p)).sqrt() + 1e-8
            size = per_copy((recipe.lr * length).clamp(max=_CAP), p)
            theta[name] = p - size * first[name] / per_copy(corrections[0], p) / scale
            if step >= steps - _AVERAGED:
                average[name] = average[name] + theta[name] / _AVERAGED
    trained = count > 0
    return {name: torch.where(per_copy(trained, end), end, initial[name]) for name, end in average.items()}


def _row_variances(problem: ModuleProblem) -> tuple[Theta, Theta]:
    """Return the variances at the initial and at the given parameters."""
    initial = problem.once(initial_parameters)
    assert initial is not None
    return _variances(problem, initial), _variances(problem, problem.engine.theta0)


def _variances(problem: ModuleProblem, theta: Theta) -> Theta:
    """Return the variance over the rows of the gradient of one row, like one copy of the parameters."""
    engine, n = problem.engine, len(problem.y)
    total, squares = torch.zeros(2, engine.n_parameters, dtype=engine.dtype, device=problem.y.device)
    for block in engine.row_gradients(problem.x, problem.y, theta):
        total += block.sum(dim=0) / n
        squares += block.square().sum(dim=0) / n
    return engine.unflatten((squares - total.square()).clamp(min=0))
