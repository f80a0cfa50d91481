"""Features that a module makes of rows before its last layer."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from unshap_plugin.model.engine import Engine
from unshap_plugin.model.rows import Rows, n_rows

__all__ = ["penultimate"]


def penultimate(engine: Engine, x: Rows) -> Tensor:
    """Return the features of rows at the given parameters, ``[rows, d]``, scaled to length one.

    They are the input of the layer with parameters that is applied last (for a linear model the rows themselves), or
    the outputs where that is not one tensor with a row for every row.
    """
    inputs: list[Any] = []
    probe = copy.deepcopy(engine.module)
    for layer in probe.modules():
        if list(layer.parameters(recurse=False)):
            layer.register_forward_pre_hook(lambda _layer, args: inputs.append(args[0] if args else None))
    with torch.no_grad():
        outputs = Engine(probe, engine.loss).call(engine.theta0, x)
    features = inputs[-1] if inputs else None
    if not (isinstance(features, Tensor) and features.is_floating_point() and len(features) == n_rows(x)):
        features = outputs
    features = features.detach().reshape(n_rows(x), -1)
    return features / features.norm(dim=1, keepdim=True).clamp(min=torch.finfo(features.dtype).tiny)
