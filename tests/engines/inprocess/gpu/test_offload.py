"""What waits in the host's memory: it is on the device while it works and not after, and computes the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.gpu.offload import ExclusiveResidency, OffloadedModule, in_stages
from cosmos_batch.engines.inprocess.text.qwen import QwenEncoder
from cosmos_batch.engines.inprocess.transfer25.forward import Forward
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from tests.support.tiny_network import CPU, MIX, TinyModel, made
from tests.support.word_tokenizer import WordTokenizer

X = torch.linspace(-1, 1, 12).view(3, 4)


def place(module: nn.Module) -> list[int]:
    """Where its weights are. "On the device" is a copy of them here, for the device is the CPU too."""
    return [tensor.data_ptr() for tensor in (*module.parameters(), *module.buffers())]


class Mixed(nn.Module):
    """Weights of several types, a shared one, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.gains = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("offset", torch.arange(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.offset


@torch.no_grad()
def test_weights_are_copied_to_the_device_and_dropped_after() -> None:
    module = Mixed()
    wanted, parameters = module(X), list(module.parameters())
    offloaded = OffloadedModule(module, CPU)
    home = place(module)
    with offloaded.on_device():
        assert not set(place(module)) & set(home)
        assert torch.equal(module(X), wanted)
    assert place(module) == home
    assert torch.equal(module(X), wanted)
    assert all(now is before for now, before in zip(module.parameters(), parameters, strict=True))
    assert module.second.weight is module.first.weight


def test_host_copies_are_in_one_block() -> None:
    module = Mixed()
    OffloadedModule(module, CPU)
    blocks = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    assert len(blocks) == 1


def test_module_is_released_when_its_work_fails() -> None:
    module = Mixed()
    offloaded = OffloadedModule(module, CPU)
    home = place(module)
    with pytest.raises(RuntimeError, match="full"), offloaded.on_device():
        raise RuntimeError("full")
    assert place(module) == home


def test_module_stays_on_the_host_when_the_device_is_full() -> None:
    """Here the device is one that is not there at all."""
    module = Mixed()
    offloaded = OffloadedModule(module, torch.device("cuda", 99))
    home = place(module)
    with pytest.raises((RuntimeError, AssertionError)), offloaded.on_device():
        pass
    assert place(module) == home


def test_the_order_in_memory_is_kept() -> None:
    config = {"latents_mean": [0.1] * 16, "latents_std": [1.3] * 16, "base_dim": 4, "z_dim": 16}
    vae = WanVae.from_config(config).eval().channels_last()
    before = [parameter.stride() for parameter in vae.parameters()]
    offloaded = OffloadedModule(vae, CPU)
    assert [parameter.stride() for parameter in vae.parameters()] == before
    with offloaded.on_device():
        assert [parameter.stride() for parameter in vae.parameters()] == before


def test_of_those_that_take_turns_one_is_on_the_device() -> None:
    modules = {name: nn.Linear(4, 4) for name in "abc"}
    turns = ExclusiveResidency(CPU)
    for name, module in modules.items():
        turns.add(name, module)
    homes = {name: place(module) for name, module in modules.items()}

    def present() -> str:
        return "".join(name for name, module in modules.items() if place(module) != homes[name])

    assert present() == ""
    turns.take("a")
    first = place(modules["a"])
    assert present() == "a"
    turns.take("a")
    assert place(modules["a"]) == first  # it is there already
    turns.take("b")
    assert present() == "b"
    turns.rest()
    assert present() == ""
    turns.take("c")
    turns.keep_only({"a", "b"})
    assert present() == ""
    turns.take("b")
    assert present() == "b"


class Layers(nn.Module):
    """A language model in small: words, layers, and a norm; it notes which of them are on the device at each."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.norm = nn.LayerNorm(6)

    def forward(self, input_ids: Tensor, **_options: bool) -> Any:
        states = [self.words(input_ids)]
        for layer in self.layers:
            states.append(torch.tanh(layer(states[-1])))
        states[-1] = self.norm(states[-1])
        return SimpleNamespace(hidden_states=states)


def test_model_larger_than_the_device_is_computed_layer_by_layer() -> None:
    torch.manual_seed(0)
    model = Layers()
    plain = QwenEncoder(WordTokenizer(), model, CPU).encode("a robot arm")
    staged = in_stages(model, CPU)
    stages = [model.words, *model.layers, model.norm]
    homes = [place(stage) for stage in stages]
    present: list[list[int]] = []

    def note(*_: object) -> None:
        there = (index for index, stage in enumerate(stages) if place(stage) != homes[index])
        present.append(list(there))

    for stage in stages:
        stage.register_forward_pre_hook(note)
    assert torch.equal(QwenEncoder(WordTokenizer(), staged, CPU).encode("a robot arm"), plain)
    assert present == [[0], [1], [2], [3], [4]]
    assert [place(stage) for stage in stages] == homes


class Waiting(TinyModel):
    """Its branches wait, and each is watched while it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = ExclusiveResidency(CPU)
        for name, branch in self.branches.items():
            self.turns.add(name, branch)

    def branch(self, name: str) -> Any:
        self.turns.take(name)
        return super().branch(name)

    def passes(self) -> Forward:
        return Forward(self.base, self.branch, self.read, CPU)


def test_offloaded_branches_give_the_same_latents() -> None:
    assert torch.equal(made(Waiting().batch(), MIX), made(TinyModel().batch(), MIX))
