"""Two methods: a class, and a function."""

import copy
from dataclasses import dataclass

import torch

from unshap_plugin.plugin import Access, StackedModels, Unlearner, UnlearnerSpec, hookimpl


@dataclass(frozen=True)
class Drift(Unlearner):
    name = "drift"
    needs = Access.RETAIN

    distance: float = 0.1

    def _unlearn(self, problem, coalitions, seed):
        share = (~problem.retained(coalitions)).to(problem.engine.dtype).mean(dim=1)
        theta = problem.engine.stack(len(coalitions))
        return StackedModels(
            problem.engine,
            {name: p + self.distance * share.reshape(-1, *[1] * (p.ndim - 1)) for name, p in theta.items()},
        )


def fade(model, generator, *, factor=0.5, noise=0.0):
    """Shrinks the parameters."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(factor).add_(noise * torch.randn(p.shape, generator=generator))
    return model


@hookimpl
def unshap_unlearners():
    yield UnlearnerSpec("drift", Drift, "Shifts the parameters.", "A test")
    yield UnlearnerSpec.from_function(fade, source="A test")
