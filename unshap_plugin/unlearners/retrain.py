"""``retrain``: training from scratch without the forget rows, which unlearning approximates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.errors import AccessError
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.generators import seeded
from unshap_plugin.model.given import copied
from unshap_plugin.model.minibatches import batches_of_an_epoch, minibatches
from unshap_plugin.model.modes import to_training
from unshap_plugin.model.optimizers import StackedOptimizer
from unshap_plugin.model.penalties import strengths
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows, map_rows, take
from unshap_plugin.model.schedules import factors
from unshap_plugin.model.stacked_training import StackedTraining
from unshap_plugin.model.stacks import Theta, row_weights
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners._refits import parameters_of, refits
from unshap_plugin.unlearners._terms import batch_bytes
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["Retrain", "obstacle_to_batches", "trained", "trains_differently"]


@dataclass(frozen=True)
class Retrain(Unlearner):
    """Train from scratch on the retained rows, by the recipe that the model was trained with.

    A torch module is retrained for many coalitions at once: coalition ``k`` takes its own ``t``-th minibatch at step
    ``t``, and is set aside when its steps are used up; batch norm takes the statistics of that minibatch alone. Trained
    one by one are a module that trains differently from how it predicts in another way (dropout), one that ``vmap``
    cannot handle, the optimiser ``lbfgs``, and any object with ``fit`` and ``predict``. Without a single retained row
    the model keeps its initial parameters.

    Cost per coalition: one training. Error: the noise of the training seed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import value
    >>> x, wrong = np.linspace(-3, 3, 12)[:, None], np.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, (x[:, 0] > 0) ^ wrong), (x, x[:, 0] > 0)
    >>> model = LogisticRegression().fit(*train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=Retrain()).to_series().idxmin()
    'c'
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
        """Count the rows of a batch."""
        return batch_bytes(problem, None if problem.recipe is None else problem.recipe.batch_size)

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        retained = problem.retained(coalitions)
        if not isinstance(problem, ModuleProblem):
            return ModelList(problem, refits(problem, retained, coalitions, seed))
        if problem.linear is not None:
            fits = refits(problem, retained, coalitions, seed)
            return StackedModels(problem.engine, parameters_of(problem, problem.linear, fits))
        return StackedModels(problem.engine, trained(problem, retained, seed))


def trained(problem: ModuleProblem, retained: Tensor, seed: int) -> Theta:
    """Return the module, trained by its recipe on the rows of each mask, bool ``[m, rows]``: ``[m, *shape]`` each."""
    recipe, engine = problem.recipe, problem.engine
    assert recipe is not None
    initial = recipe.initial_state(engine.module, seed)
    obstacle = problem.once(obstacle_to_batches)
    if obstacle is None and engine.batched:
        return _train_stacked(recipe, engine, initial, problem, retained, seed)
    if obstacle is not None:
        engine.announce(
            f"{type(problem.model).__name__} cannot be retrained for many coalitions at once because of {obstacle}; it "
            f"is retrained one coalition at a time, which is slower by about the number of coalitions in a chunk."
        )
    return _train_each(recipe, engine, initial, problem, retained, seed)


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
    if layer is None:
        return None
    training = problem.once(_training)
    # Batches of one row throughout are refused by the loop, where a batch norm cannot train on them.
    batched = training is not None and not (training.joins and problem.recipe.batch_size == 1)
    return None if batched else f"{layer} in training mode"


def _training(problem: ModuleProblem) -> StackedTraining | None:
    """Return the training of many copies of a module that trains differently from how it predicts."""
    if trains_differently(problem.engine, problem.x) is None:
        return None
    return StackedTraining.of(problem.engine, problem.x)


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
    training, counts = problem.once(_training), retained.sum(dim=1)
    joins = training is not None and training.joins
    # Those that train for longest come first, so that the others are left out one after the other.
    sequence = counts.argsort(descending=True, stable=True)
    kept, m = retained[sequence], len(retained)
    theta = engine.flatten({name: initial[name].expand(m, *p.shape) for name, p in engine.theta0.items()})
    optimizer = StackedOptimizer(recipe.optimizer, theta, recipe.lr, recipe.options)
    final, slots = theta.clone(), engine.unflatten(optimizer.gradient)
    moving = training.statistics if training is not None else {}
    statistics = {name: initial[name].expand(m, *b.shape).clone() for name, b in moving.items()}
    penalty = strengths(engine, recipe) / counts[sequence].clamp(min=1).to(engine.dtype)[:, None]
    penalised = bool(penalty.any())
    steps = recipe.epochs * batches_of_an_epoch(counts[sequence], recipe.batch_size, joins=joins)
    order, takes = recipe.orders(retained.shape[1], seed), steps.cpu()
    batches = minibatches(kept, recipe.batch_size, steps, order, joins=joins)
    for step, (batch, present) in enumerate(batches):
        if len(present) < m:
            final[len(present) : m], optimizer.gradient[len(present) : m] = optimizer.current[len(present) : m], 0
            m = len(present)
        theta, own = optimizer.current[:m], batch is not None
        rows, labels = (problem.x, problem.y) if batch is None else (take(problem.x, batch), problem.y[batch])
        stack = engine.unflatten(theta)
        if training is None:
            weights = row_weights(present, engine.dtype)
            gradients = engine.gradients(stack, weights, rows, labels, rows_per_copy=own)
        else:
            first = {name: b[:m] for name, b in statistics.items()}
            gradients = training.gradients(stack, first, present, rows, labels, rows_per_copy=own)
        for name, found in gradients.items():
            slots[name][:m] = found
        if penalised:
            optimizer.gradient[:m].addcmul_(penalty[:m], theta)
        if recipe.clip is not None:
            optimizer.clip(recipe.clip)
        rates = factors(recipe.schedule, recipe.warmup, takes[:m], step) if recipe.scheduled else None
        optimizer.step(rates)
    final[:m] = optimizer.current[:m]
    back = sequence.argsort()
    state = {name: value[back] for name, value in {**engine.unflatten(final), **statistics}.items()}
    single = counts == 1
    if joins and single.any():  # they train by the statistics that their layers begin with
        each = _train_each(recipe, engine, initial, problem, retained[single], seed)
        for name, value in state.items():
            value[single] = each[name]
    return state
