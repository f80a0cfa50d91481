"""The memory that tensors take at most, where it is known."""

from __future__ import annotations

import torch

from unshap_plugin.support.peak import peak_bytes

SIZE = 4 * 500 * 1000


def test_what_is_kept_for_gradients_is_counted_until_it_is_used():
    weight, x = torch.randn(1000, 1000, requires_grad=True), torch.randn(500, 1000)

    def forward(layers):
        hidden = x
        for _ in range(layers):
            hidden = torch.tanh(hidden @ weight)
        return hidden

    with torch.no_grad():
        assert peak_bytes(lambda: forward(4)) <= 3 * SIZE, "a layer goes when the next one is there"
    assert peak_bytes(lambda: forward(4)) == 5 * SIZE, "four, and a product on the way"
    assert peak_bytes(lambda: torch.autograd.grad(forward(4).sum(), weight)) >= 5 * SIZE


def test_what_was_there_and_what_changes_it_is_not_counted():
    given = torch.zeros(1000)
    assert peak_bytes(lambda: given.add_(1)) == 0
    assert peak_bytes(lambda: given[:10].view(2, 5)) == 0
    assert peak_bytes(lambda: [given.clone() for _ in range(3)]) == 12000
