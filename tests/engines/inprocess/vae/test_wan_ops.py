"""The autoencoder's own GPU kernels, in Triton's interpreter on the CPU, against PyTorch's operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.vae import triton_kernels, wan_ops
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from cosmos_batch.engines.inprocess.vae.wan_ops import LOOK_BACK, activated, joined
from tests.support.tiny_network import error
from tests.support.wan_config import CONFIG

TOLERANCE = 1e-5  # relative, in the norm, float32


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("channels", [3, 16, 96])
@pytest.mark.parametrize("begins", [False, True])
def test_activating_gives_what_the_operators_give(stacked: bool, frames: int, channels: int, begins: bool) -> None:
    videos, height, width = 2, 3, 5
    x, bias, gamma = drawn(videos, channels, frames, height, width), drawn(channels), drawn(channels)
    x[0, :, 0, 0, 0] = -bias  # a pixel of zeros
    before = None if begins else drawn(videos, channels, LOOK_BACK, height, width)
    for added in (None, bias):
        wanted = activated(x, added, gamma, before, stacked=stacked)
        given = None if before is None else last(before)
        found = triton_kernels.activated(last(x), added, gamma, given, wan_ops.NOTHING, stacked=stacked)
        for mine, plain in zip(found, wanted, strict=True):
            assert mine.shape == plain.shape
            assert error(mine, plain) < TOLERANCE


@pytest.mark.parametrize("shape", [(2, 5, 3, 4, 6), (3, 7, 4, 2)])
def test_joining_adds_bias_and_shortcut(shape: tuple[int, ...]) -> None:
    order = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    y, shortcut, bias = drawn(*shape), drawn(*shape).flip(0), drawn(shape[1])
    for other in (None, shortcut):
        wanted = joined(y.clone(), bias, other)
        mine = y.clone().contiguous(memory_format=order)
        found = triton_kernels.joined(mine, bias, other)
        assert found is mine
        assert error(found, wanted) < TOLERANCE


@torch.no_grad()
def test_an_autoencoder_with_the_kernels_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than one group of frames, with three frames at once as pictures and with one after the other."""
    torch.manual_seed(0)
    vae = WanVae.from_config(CONFIG).eval()
    video = torch.rand(1, 3, 9, 16, 24) * 2 - 1
    latents = vae.encode(video)
    pixels = vae.decode(latents)
    vae.channels_last()
    calls = []
    real = triton_kernels.activated
    monkeypatch.setattr(
        triton_kernels, "activated", lambda *given, **how: calls.append(how["stacked"]) or real(*given, **how)
    )
    monkeypatch.setattr(wan_ops, "_proven", lambda _device: True)
    for narrow in (0, 1000):
        monkeypatch.setattr(wan_ops, "_NARROW", narrow)
        assert error(vae.encode(video), latents) < 1e-4
        assert error(vae.decode(latents), pixels) < 1e-4
    assert set(calls) == {False, True}


@pytest.mark.parametrize("trouble", [None, "another result", "an error"])
def test_kernels_are_used_where_they_give_what_the_operators_give(
    monkeypatch: pytest.MonkeyPatch, trouble: str | None
) -> None:
    def odd(x: Tensor, *_given: object, **_how: object) -> tuple[Tensor, Tensor]:
        if trouble == "an error":
            raise RuntimeError("no such instruction")
        return x, x

    monkeypatch.setattr(wan_ops, "can_compile", lambda _device: True)
    if trouble is not None:
        monkeypatch.setattr(triton_kernels, "activated", odd)
    assert wan_ops._proof(torch.device("cpu")) is (trouble is None)


def test_without_a_compiler_the_operators_do_it() -> None:
    assert wan_ops._proof(torch.device("cpu")) is False
