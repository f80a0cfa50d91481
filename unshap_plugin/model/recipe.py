"""Recipes, which say how a torch model was trained, and the plain training loop that follows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.errors import (
    InvalidTypeError,
    InvalidValueError,
    UnknownNameError,
    check_integer,
    check_number,
    nearest,
)
from unshap_plugin.losses import Loss
from unshap_plugin.model.generators import seeded
from unshap_plugin.model.given import copied, logits_of, unwrapped
from unshap_plugin.model.minibatches import orders
from unshap_plugin.model.modes import dense, joined, one_row_fails, still, to_training, trained_names
from unshap_plugin.model.optimizers import OPTIMIZERS, check_options, minimise
from unshap_plugin.model.rows import Rows, arguments, n_rows, take
from unshap_plugin.model.schedules import check_schedule, factors
from unshap_plugin.support.threads import alone

__all__ = ["Recipe", "resolve_recipe"]


@dataclass(frozen=True)
class Recipe:
    """Recipe by which the given model was trained.

    The objective is ``mean_i loss_i + l2 / (2 rows) * ||theta||^2``, which has the minimiser of
    ``sum_i loss_i + l2 / 2 * ||theta||^2``: the strength of the penalty does not grow with the number of rows.

    Parameters
    ----------
    optimizer
        ``adam``, ``adamw``, ``sgd``, or ``lbfgs`` (full batch, to convergence; ``epochs`` bounds its iterations).
    lr
        Learning rate.
    epochs
        Passes over the retained rows.
    batch_size
        Rows per step; ``None`` takes all of them.
    options
        Further keywords of the ``torch.optim`` class.
    l2
        Strength of the penalty: a number for all parameters, or a dict from parameter name to strength (others 0).
    schedule
        How the learning rate goes on from ``lr`` over the steps of a training: ``constant``, ``linear`` (down to zero)
        or ``cosine`` (half a period, down to zero). A coalition with fewer rows takes fewer steps, and goes through
        the whole schedule in these.
    warmup
        Steps, or as a float below 1 the share of the steps, over which the rate rises from zero to ``lr`` before that.
    clip
        Norm that the gradient of all parameters is scaled down to where it is longer; ``None``: as it is.
    init
        Parameters that training started from: a state dict ``{name: [*shape]}``, or a module. ``None``: not known,
        drawn from the seed.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If there is no such optimiser or option, or a setting has a value that cannot be used.

    Examples
    --------
    >>> from unshap_plugin.losses import mse
    >>> module = nn.Linear(1, 1)
    >>> recipe = Recipe("sgd", lr=0.1, epochs=200, batch_size=None, init=module)
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> trained = recipe.train(module, mse, x, 3 * x)
    >>> round(trained.weight.item(), 3)
    3.0
    >>> recipe.check(module)
    >>> recipe.strength("weight"), list(recipe.initial_state(module, seed=0)), recipe.orders(3, seed=0).shape
    (0.0, ['weight', 'bias'], (200, 3))
    >>> recipe.scheduled, Recipe("adamw", schedule="linear", warmup=0.1, clip=1.0).scheduled
    (False, True)
    """

    optimizer: str = "adam"
    lr: float = 0.01
    epochs: int = 10
    batch_size: int | None = 32
    options: Mapping[str, Any] = field(default_factory=dict)
    l2: float | Mapping[str, float] = 0.0
    schedule: str = "constant"
    warmup: float = 0
    clip: float | None = None
    init: Mapping[str, Tensor] | nn.Module | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the settings and take a snapshot of ``init``."""
        if not isinstance(self.optimizer, str) or self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        check_number("lr", self.lr, zero=False)
        check_integer("epochs", self.epochs, 1)
        if self.batch_size is not None:
            check_integer("batch_size", self.batch_size, 1)
        for strength in self.l2.values() if isinstance(self.l2, Mapping) else [self.l2]:
            check_number("l2", strength, zero=True)
        check_options(self.optimizer, self.lr, self.options)
        check_schedule(self.optimizer, self.schedule, self.warmup, self.clip)
        if not (self.init is None or isinstance(self.init, Mapping | nn.Module)):
            raise InvalidTypeError(f"init is a {type(self.init).__name__}, but a state dict or a module is needed.")
        if self.init is not None:
            state = unwrapped(self.init).state_dict() if isinstance(self.init, nn.Module) else self.init
            kept = {name: value for name, value in state.items() if not str(name).endswith("_extra_state")}
            odd = [name for name, value in kept.items() if not isinstance(value, Tensor)]
            if odd:
                raise InvalidTypeError(
                    f"init[{odd[0]!r}] is a {type(kept[odd[0]]).__name__}, but a tensor is needed: pass "
                    f"model.state_dict() from before training."
                )
            object.__setattr__(self, "init", {name: value.detach().clone() for name, value in kept.items()})

    def check(self, module: nn.Module) -> None:
        """Refuse a ``module`` that the recipe cannot be one of.

        Raises
        ------
        InvalidValueError
            If a penalty is for a parameter that it does not have.
        """
        names = [name for name, _ in module.named_parameters()]
        for name in self.l2 if isinstance(self.l2, Mapping) else ():
            if name not in names:
                raise InvalidValueError(
                    f"l2 names the parameter {name!r}{nearest(name, names)}, but the model has: {', '.join(names)}."
                )

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate changes."""
        return self.schedule != "constant" or self.warmup > 0

    def strength(self, parameter: str) -> float:
        """Return the l2 strength of the parameter named ``parameter``."""
        return self.l2.get(parameter, 0.0) if isinstance(self.l2, Mapping) else self.l2

    def initial_state(self, module: nn.Module, seed: int) -> dict[str, Tensor]:
        """Return the state ``{name: [*shape]}`` that training starts from: ``init``, or one drawn from the ``seed``.

        Frozen parameters are those of ``module``, as are the buffers of layers that do not train.

        Raises
        ------
        InvalidValueError
            If ``init`` does not fit the module, or is not known and a layer cannot draw its own parameters.
        """
        with alone():  # another thread may be calling it with other parameters
            state, trained = module.state_dict(), trained_names(module)
        if self.init is not None:
            assert isinstance(self.init, Mapping)
            wrong = [k for k in state if k in trained and not _fits(self.init.get(k), state[k])]
            if wrong:
                near = nearest(wrong[0], [] if wrong[0] in self.init else self.init)
                raise InvalidValueError(
                    f"init lacks {wrong[0]!r}{near}, or has it in another shape than the model's "
                    f"{list(state[wrong[0]].shape)}: pass the state dict that the model had before training (of the "
                    f"module inside, where it was wrapped)."
                )
            return {name: self.init[name].to(value) if name in trained else value for name, value in state.items()}
        fresh = copied(module)
        with seeded(seed):
            for layer in fresh.modules():
                own = list(layer.parameters(recurse=False))
                if own and not any(p.requires_grad for p in own):
                    continue
                before = [(p.detach().clone(), p._version) for p in own]
                reset: Any = getattr(layer, "reset_parameters", None)
                if callable(reset):
                    reset()
                # A weight that is computed from parameters (weight norm) may be drawn in the place of these.
                if any(p._version == n and torch.equal(p, old) for p, (old, n) in zip(own, before, strict=True)):
                    why = "reset_parameters leaves some as they are" if callable(reset) else "no reset_parameters"
                    raise InvalidValueError(
                        f"the initial parameters are not known and {type(layer).__name__} cannot draw its own "
                        f"({why}): pass fit=Recipe(init=...) with the state dict before training."
                    )
        drawn = fresh.state_dict()
        return {name: (drawn[name] if name in trained else value).detach().clone() for name, value in state.items()}

    def orders(self, rows: int, seed: int) -> NDArray[np.int64]:
        """Return for each epoch an order of as many as ``rows`` rows, ``[epochs, rows]``, drawn from the ``seed``.

        Every coalition trains on its own rows in these orders (see ``model.minibatches``).
        """
        return orders(rows, self.epochs, seed)

    def train(
        self, module: nn.Module, loss: Loss, x: Rows, y: Tensor, *, rows: Tensor | None = None, seed: int = 0
    ) -> nn.Module:
        """Return a trained copy of ``module``, started from its own parameters.

        Parameters
        ----------
        module
            The initial module.
        loss
            ``(outputs, targets) -> [rows]``.
        x, y
            The rows, and their targets ``[rows, ...]``.
        rows
            Boolean mask ``[rows]`` of the rows to train on; all by default. Without any, nothing is trained.
        seed
            Orders the rows, and seeds dropout.

        Raises
        ------
        InvalidValueError
            If the batches have one row, and a layer cannot train on one.
        """
        model = dense(copied(unwrapped(module)))
        keep = np.ones(n_rows(x), dtype=bool) if rows is None else rows.cpu().numpy()
        count = int(keep.sum())
        if count == 0:
            return model.eval()
        to_training(model)
        size = self.batch_size or count
        apart = one_row_fails(model, take(x, torch.as_tensor(keep.nonzero()[0][:1], device=y.device)))
        if apart and size == 1 < count:
            raise InvalidValueError(
                f"batch_size is 1, but {apart} cannot train on a batch of one row: give the batch_size that the model "
                f"was trained with."
            )
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        parameters = [p for _, p in named]

        def objective(index: Tensor) -> Tensor:
            positional, named_rows = arguments(take(x, index))
            outputs: Tensor = logits_of(model(*positional, **named_rows))
            penalty = [self.strength(name) / (2 * count) * p.square().sum() for name, p in named if self.strength(name)]
            return loss(outputs, y[index]).mean() + sum(penalty)

        with seeded(seed), torch.enable_grad():
            if apart and count == 1:
                still(model)
            if self.optimizer == "lbfgs":
                whole = torch.as_tensor(keep.nonzero()[0], device=y.device)
                minimise(lambda: objective(whole), parameters, self.lr, self.epochs, self.options)
            else:
                optimizer = OPTIMIZERS[self.optimizer](parameters, lr=self.lr, **self.options)
                batches: list[Tensor] = []
                for order in self.orders(len(keep), seed):
                    own = torch.as_tensor(order[keep[order]], device=y.device).split(size)
                    batches += joined(own) if apart else own
                total = torch.tensor([len(batches)])
                for step, batch in enumerate(batches):
                    optimizer.zero_grad()
                    objective(batch).backward()
                    if self.clip is not None:
                        nn.utils.clip_grad_norm_(parameters, self.clip)
                    if self.scheduled:
                        for group in optimizer.param_groups:
                            group["lr"] = self.lr * factors(self.schedule, self.warmup, total, step).item()
                    optimizer.step()
        return model.eval()


def _fits(given: Tensor | None, value: Tensor) -> bool:
    return given is not None and given.shape == value.shape


def resolve_recipe(fit: Recipe | Mapping[str, Any] | None) -> Recipe | None:
    """Return the recipe, made from a dict of its settings where one is given.

    Raises
    ------
    InvalidValueError
        If a setting does not exist.
    InvalidTypeError
        If ``fit`` is neither.
    """
    if fit is None or isinstance(fit, Recipe):
        return fit
    if not isinstance(fit, Mapping):
        raise InvalidTypeError(f"fit is a {type(fit).__name__}, but a Recipe or a dict of its settings is needed.")
    known = [f.name for f in dataclasses.fields(Recipe)]
    for name in fit:
        if name not in known:
            raise InvalidValueError(
                f"fit has no setting {name!r}{nearest(name, known)}; expected some of: {', '.join(known)}."
            )
    return Recipe(**fit)
