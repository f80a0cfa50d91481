"""What the parameters of a module are drawn to, and how strongly: a recipe in flat form."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.model.engine import Engine
from unshap_plugin.model.recipe import Recipe

__all__ = ["penalties"]


def penalties(engine: Engine, recipe: Recipe | None) -> tuple[Tensor, Tensor]:
    """Return the l2 strengths and the initial parameters of a recipe, ``[p]`` each; zero where they are not known."""
    given = engine.flatten(engine.stack(1))[0]
    l2, init = torch.zeros_like(given), torch.zeros_like(given)
    if recipe is not None:
        l2 = torch.cat([torch.full_like(p.flatten(), recipe.strength(name)) for name, p in engine.theta0.items()])
        if recipe.init is not None:
            state = recipe.initial_state(engine.module, seed=0)  # which is known
            init = torch.cat([state[name].flatten() for name in engine.theta0]).to(given)
    return l2, init
