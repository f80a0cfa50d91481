"""The features of a module before its last layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unshap_plugin.model.probes import penultimate


class Ends(nn.Module):
    """Gives its last layer what the first makes, in several ways."""

    def __init__(self, how):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(4, 3), nn.Linear(3, 2), how

    def forward(self, x):
        hidden = self.body(x).tanh()
        if self.how == "by name":
            return self.head(input=hidden)
        outputs = self.head(hidden)
        if self.how == "changed afterwards":
            hidden.zero_()
        return outputs


@pytest.mark.parametrize("how", ["by position", "by name", "changed afterwards"])
def test_features_are_what_the_last_layer_is_given(how):
    module, x = Ends(how), torch.randn(6, 4)
    expected = module(x) if how == "changed afterwards" else module.body(x).tanh()
    torch.testing.assert_close(penultimate(module, x), F.normalize(expected, dim=1))
