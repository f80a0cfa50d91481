"""``retrain``: training from scratch without the forget rows, which unlearning approximates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.errors import AccessError
from unshap_plugin.model.engine import Engine, Theta, row_weights
from unshap_plugin.model.generators import seeded
from unshap_plugin.model.given import copied
from unshap_plugin.model.modes import to_training
from unshap_plugin.model.optimizers import StackedOptimizer
from unshap_plugin.model.penalties import strengths
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows, map_rows, take
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners._refits import parameters_of, refits
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["Retrain", "obstacle_to_batches", "trains_differently"]


@dataclass(frozen=True)
class Retrain(Unlearner):
    """Train from scratch on the retained rows, by the recipe that the model was trained with.

    A torch module is retrained for many coalitions at once: coalition ``k`` takes its own ``t``-th minibatch at step
    ``t``, and is set aside when its steps are used up. A module that trains differently from how it predicts (batch
    norm, dropout), the optimiser ``lbfgs``, and a module that ``vmap`` cannot handle are trained one by one; so is
    any object with ``fit`` and ``predict``. Without a single retained row the model keeps its initial parameters.

    Cost per coalition: one training. Error: the noise of the training seed.
    """

    name: ClassVar[str] = "retrain"
    summary: ClassVar[str] = "Trains from scratch on the retained rows: what the others approximate."
    source: ClassVar[str] = "the definition"
    needs: ClassVar[Access] = Access.RETAIN
    takes: ClassVar[ModelKind] = ModelKind.PARAMETERS | ModelKind.FIT_PREDICT
    exact: ClassVar[bool] = True

    def _check(self, problem: ValuationProblem) -> None:
        if isinstance(problem, ModuleProblem) and problem.linear is None and problem.recipe is None:
            raise AccessError(
                "unlearner 'retrain' needs to know how the torch model was trained: pass fit=Recipe(...) to the problem"
            )

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Count the rows of a batch, and those of the test set, of which no gradient is asked."""
        recipe, tested = problem.recipe, problem.engine.bytes_per_coalition(problem.x_test) // 2
        size = len(problem.y) if recipe is None or recipe.batch_size is None else recipe.batch_size
        batch = take(problem.x, torch.arange(min(size, len(problem.y)), device=problem.y.device))
        # The order of the rows is kept for each coalition.
        return max(problem.engine.bytes_per_coalition(batch), tested) + 8 * len(problem.y)

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        retained = problem.retained(coalitions)
        if not isinstance(problem, ModuleProblem):
            return ModelList(problem, refits(problem, retained, coalitions, seed))
        if problem.linear is not None:
            fits = refits(problem, retained, coalitions, seed)
            return StackedModels(problem.engine, parameters_of(problem, problem.linear, fits))
        recipe, engine = problem.recipe, problem.engine
        assert recipe is not None
        initial = recipe.initial_state(engine.module, seed)
        obstacle = problem.once(obstacle_to_batches)
        if obstacle is None and engine.batched:
            state = _train_stacked(recipe, engine, initial, problem, retained, seed)
        else:
            if obstacle is not None:
                engine.announce(
                    f"{type(problem.model).__name__} cannot be retrained for many coalitions at once because of "
                    f"{obstacle}; it is retrained one coalition at a time, which is slower by about the number of "
                    f"coalitions in a chunk."
                )
            state = _train_each(recipe, engine, initial, problem, retained, seed)
        return StackedModels(engine, state)


def trains_differently(engine: Engine, x: Rows) -> str | None:
    """Return the name of what trains differently from how it predicts (a layer, or the module itself), if anything."""
    module = engine.module
    training = to_training(copied(module))
    for layer in training.modules():
        dropout = isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p > 0
        if layer.training and (dropout or isinstance(layer, nn.modules.batchnorm._BatchNorm)):
            return type(layer).__name__
    # Dropout may also be called as a function: see whether the outputs are others in training mode.
    rows = map_rows(lambda tensor: tensor[:32], x)
    with seeded(0), torch.no_grad():
        same = torch.equal(engine.call(engine.theta0, rows), Engine(training, engine.loss).call(engine.theta0, rows))
    return None if same else type(module).__name__


def obstacle_to_batches(problem: ModuleProblem) -> str | None:
    """Return what keeps the training of the module from being batched, if anything does."""
    assert problem.recipe is not None
    if problem.recipe.optimizer == "lbfgs":
        return "the optimiser lbfgs"
    layer = trains_differently(problem.engine, problem.x)
    return None if layer is None else f"{layer} in training mode"


def _train_each(
    recipe: Recipe, engine: Engine, initial: Theta, problem: ModuleProblem, retained: Tensor, seed: int
) -> Theta:
    """Train one model after the other: the plain-loop twin of ``_train_stacked``."""
    start = copied(engine.module)
    start.load_state_dict(initial)
    states = [
        recipe.train(start, engine.loss, problem.x, problem.y, rows=rows, seed=seed).state_dict() for rows in retained
    ]
    buffers = dict(engine.module.named_buffers())
    own = [name for name in initial if name in engine.theta0 or name in buffers]  # tied weights have several names
    return {name: torch.stack([state[name] for state in states]) for name in own}


def _train_stacked(
    recipe: Recipe, engine: Engine, initial: Theta, problem: ModuleProblem, retained: Tensor, seed: int
) -> Theta:
    """Train all models at once, their parameters side by side in one matrix: one optimiser step for all of them."""
    m, dtype = len(retained), engine.dtype
    theta = engine.flatten({name: initial[name].expand(m, *p.shape) for name, p in engine.theta0.items()})
    optimizer, final = StackedOptimizer(recipe.optimizer, theta, recipe.lr, recipe.options), theta.clone()
    counts = retained.sum(dim=1)
    penalty = strengths(engine, recipe) / counts.clamp(min=1).to(dtype)[:, None]
    penalised = bool(penalty.any())
    size = recipe.batch_size
    per_epoch = torch.ones_like(counts) if size is None else -(-counts // size)
    steps = recipe.epochs * per_epoch * (counts > 0)
    orders = torch.as_tensor(recipe.orders(retained.shape[1], seed), device=retained.device)
    # [m, rows]: the rows of coalition k in the order of its current epoch, the retained ones first.
    order = torch.zeros(retained.shape, dtype=torch.long, device=retained.device)
    place = torch.arange(size or 1, device=retained.device)
    for step in range(int(steps.max())):
        theta = optimizer.current
        stack = engine.unflatten(theta)
        if size is None:
            gradients = engine.gradients(stack, row_weights(retained, dtype), problem.x, problem.y)
        else:
            begins = torch.nonzero(step % per_epoch.clamp(min=1) == 0).flatten()
            if len(begins) > 0:
                epoch = (step // per_epoch.clamp(min=1))[begins].clamp(max=recipe.epochs - 1)
                absent = ~retained[begins].gather(1, orders[epoch])
                order[begins] = orders[epoch].gather(1, absent.to(torch.uint8).argsort(dim=1, stable=True))
            position = (step % per_epoch.clamp(min=1) * size)[:, None] + place
            weights = row_weights(position < counts[:, None], dtype)
            batch = order.gather(1, position.clamp(max=retained.shape[1] - 1))
            gradients = engine.gradients(stack, weights, take(problem.x, batch), problem.y[batch], rows_per_copy=True)
        gradient = engine.flatten(gradients)
        optimizer.step(gradient + penalty * theta if penalised else gradient)
        done = steps == step + 1
        if done.any():
            final[done] = theta[done]
    return engine.unflatten(final)
