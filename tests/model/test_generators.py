"""The global generators, those of GPUs too where they are used."""

from __future__ import annotations

import pytest
import torch

from unshap_plugin.model.generators import kept, moved, states


class Devices:
    """Two GPUs that somebody uses, with generators on the CPU in the place of theirs."""

    def __init__(self):
        self.generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]

    def get(self):
        return [one.get_state() for one in self.generators]

    def put(self, states):
        for one, state in zip(self.generators, states, strict=True):
            one.set_state(state)

    def draw(self):
        return float(torch.rand(1, generator=self.generators[1]))


@pytest.fixture
def devices(monkeypatch):
    made = Devices()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", made.get)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", made.put)
    return made


def test_a_draw_on_a_gpu_is_seen_and_put_back(devices):
    before = states()
    drawn = devices.draw()
    assert moved(before) == "torch"
    assert devices.draw() == drawn
    with kept():
        devices.draw()
    moved(before)
    assert devices.draw() == drawn


def test_gpus_that_are_used_for_the_first_time_are_no_draw(devices, monkeypatch):
    with monkeypatch.context() as unused:
        unused.setattr(torch.cuda, "is_initialized", lambda: False)
        before = states()
    assert moved(before) is None
    torch.rand(1)
    assert moved(before) == "torch"


def test_settings_of_torch_are_put_back_too():
    def careless():
        with kept():
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            raise KeyError

    with pytest.raises(KeyError):
        careless()
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
