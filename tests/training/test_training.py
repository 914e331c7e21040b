"""Every part of the training runs, and what it leaves can be loaded again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedConfig, FoldedVae
from cosmos_batch.errors import EngineError
from cosmos_batch.media.controls.pixels import BLUR, make_control
from cosmos_batch.run import Strength
from training.pocket.fit_network import Library, NetworkPlan, draw, fit_network
from training.pocket.fit_vae import rate_at, vae_loss
from training.pocket.footage import CONTROLS, Studio
from training.pocket.looks import STYLES
from training.pocket.nets import Nets, Request, generate, load_nets, new_nets, save_nets
from training.pocket.quality import nearest_look, ssim

TINY = FoldedConfig(16, 16, 16, 16, 16, 16)


def library() -> Library:
    """Random latents of two clips, and prompts of one word."""
    torch.manual_seed(0)
    word = torch.zeros(len(STYLES), 1, 2, 16, dtype=torch.long)
    word[..., 0, 0] = 7
    return Library(
        torch.randn(len(STYLES), 2, 16, 3, 4, 4), torch.randn(len(CONTROLS), 2, 16, 3, 4, 4), word, word[0]
    )


def test_the_autoencoder_keeps_the_first_frame_apart() -> None:
    vae = FoldedVae(TINY).eval()
    video = torch.rand(1, 3, 5, 32, 48) * 2 - 1
    latents = vae.encode(video)
    assert latents.shape == (1, 16, 2, 4, 6)
    assert torch.allclose(vae.encode(video[:, :, :1])[:, :, 0], latents[:, :, 0], atol=1e-5)
    assert vae.decode(latents).shape == video.shape
    assert float(vae.decode(latents * 100).abs().max()) <= 1


def test_the_autoencoder_normalises_with_what_is_stored_beside_its_weights() -> None:
    vae = FoldedVae(TINY).eval()
    video = torch.rand(1, 3, 5, 32, 48) * 2 - 1
    plain = vae.encode(video)
    vae.mean.fill_(0.5)
    vae.std.fill_(2.0)
    assert torch.allclose(vae.encode(video), (plain - 0.5) / 2, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 4, 32, 48), (1, 3, 5, 30, 48)])
def test_the_autoencoder_refuses_sizes_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="needed are 1 \\+ 4 n frames"):
        FoldedVae(TINY).encode(torch.zeros(shape))


def test_the_autoencoder_learns() -> None:
    torch.manual_seed(0)
    vae = FoldedVae(TINY)
    video = torch.rand(1, 3, 1, 16, 16).expand(-1, -1, 5, -1, -1) * 2 - 1
    optimizer = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        loss = vae_loss(vae, video, torch.zeros(1, 16, 2, 2, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_batch_draws_half_of_its_rows_for_every_control() -> None:
    sample = draw(library(), 8)
    assert sample.rows.shape == (4, 4)
    assert all(len(set(rows.tolist())) == 4 for rows in sample.rows)
    applied = torch.zeros(8).index_add(0, sample.rows.flatten(), sample.weights.flatten())
    assert float(applied.max()) <= 1 + 1e-6
    assert set(sample.known[:, 1:].flatten().tolist()) == {0.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nets, Path]:
    torch.manual_seed(0)
    said: list[str] = []
    nets = fit_network(
        new_nets(FoldedVae(TINY)), library(), NetworkPlan(0.2, batch=2), said.append, compiled=False
    )
    folder = tmp_path_factory.mktemp("pocket")
    save_nets(nets, folder)
    assert "steps" in said[-1]
    return nets, folder


def test_training_moves_the_weights_but_not_the_image_biases(trained: tuple[Nets, Path]) -> None:
    nets, _ = trained
    assert float(nets.base.out.weight.abs().max()) > 0
    assert float(nets.branches["edge"].blocks[0].cross.image_bias.abs().max()) == 0  # type: ignore[union-attr]


def test_saved_networks_load_as_they_were_but_for_rounding(trained: tuple[Nets, Path]) -> None:
    nets, folder = trained
    again = load_nets(folder)
    for ours, theirs in zip(nets.modules(), again.modules(), strict=True):
        for name, weight in ours.state_dict().items():
            assert torch.equal(weight.bfloat16().float(), theirs.state_dict()[name]), name


def test_rate_rises_then_falls_to_zero() -> None:
    assert rate_at(0.0, 1.0) == 0
    assert rate_at(0.02, 1.0) > 0.99
    assert math.isclose(rate_at(1.0, 1.0), 0, abs_tol=1e-12)


@pytest.mark.parametrize("preset", BLUR)
def test_the_training_blurs_as_the_engine_does(preset: Strength) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    frames = frames.repeat(16, axis=1).repeat(16, axis=2)  # large patches, 64 by 64
    wanted = torch.from_numpy(make_control("vis", frames, preset))
    blurred = Studio(torch.device("cpu"), workers=1, compiled=False).blur(torch.from_numpy(frames)[None], preset)
    assert int((blurred[0].int() - wanted.int()).abs().max()) <= 2


def test_ssim_is_1_for_the_same_and_falls_with_noise() -> None:
    torch.manual_seed(0)
    video = torch.randint(0, 256, (2, 1, 16, 16, 3), dtype=torch.uint8)
    other = torch.randint(0, 256, (2, 1, 16, 16, 3), dtype=torch.uint8)
    assert ssim(video, video).tolist() == pytest.approx([1, 1])
    assert float(ssim(video, other).max()) < 0.3


def test_nearest_look_depends_on_colours_and_not_on_positions() -> None:
    dark = torch.zeros(1, 1, 8, 8, 3, dtype=torch.uint8)
    dark[:, :, :2] = 250
    light = torch.full_like(dark, 200)
    assert nearest_look(dark.flip(2), {"light": light, "dark": dark}) == ["dark"]


def test_the_shipped_weights_make_a_video_in_the_style_of_the_prompt() -> None:
    night, snow = generate(load_nets(), [Request("at night", {}), Request("deep snow", {})], steps=4, guidance=0.0)
    assert night.shape == (17, 96, 160, 3)
    assert float(snow.float().mean()) > float(night.float().mean()) + 50
