"""What the parameters of a module are drawn to, and how strongly: a recipe in flat form."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.model.engine import Engine
from unshap_plugin.model.recipe import Recipe

__all__ = ["penalties", "strengths"]


def strengths(engine: Engine, recipe: Recipe | None) -> Tensor:
    """Return the l2 strengths of a recipe, ``[p]``; zero where it is not known."""
    of = [torch.full_like(p.flatten(), 0.0 if recipe is None else recipe.strength(n)) for n, p in engine.theta0.items()]
    return torch.cat(of)


def penalties(engine: Engine, recipe: Recipe | None) -> tuple[Tensor, Tensor]:
    """Return the l2 strengths and the initial parameters of a recipe, ``[p]`` each; zero where they are not known."""
    l2 = strengths(engine, recipe)
    if recipe is None or recipe.init is None:
        return l2, torch.zeros_like(l2)
    state = recipe.initial_state(engine.module, seed=0)  # which is known
    return l2, torch.cat([state[name].flatten() for name in engine.theta0]).to(l2)
