"""The Wan video autoencoder: against diffusers on equal weights, in tiles, in batches, and on bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cosmos_batch.engines.inprocess.vae.tiling import blended, starts
from cosmos_batch.engines.inprocess.vae.wan import WanVae
from cosmos_batch.errors import EngineError, ModelError
from tests.support.tiny_network import error
from tests.support.wan_config import CONFIG, MEAN, STD

REFERENCE = Path(__file__).parents[1] / "reference" / "vae.safetensors"
TOLERANCE = 1e-4  # relative, in the norm, float32


def per_channel(values: list[float]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1, 1)


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def folder(reference: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers `vae` folder with the reference's weights."""
    folder = tmp_path_factory.mktemp("vae")
    weights = {k.removeprefix("weights."): v for k, v in reference.items() if k.startswith("weights.")}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | {"_class_name": "AutoencoderKLWan"}))
    return folder


@pytest.mark.parametrize("frames", [1, 5, 9, 13])
def test_encoding_gives_the_normalised_mean_of_the_diffusers_autoencoder(
    frames: int, folder: Path, reference: dict[str, Tensor]
) -> None:
    latents = WanVae.load(folder).encode(reference[f"video.{frames}"])
    wanted = (reference[f"mean.{frames}"] - per_channel(MEAN)) / per_channel(STD)
    assert error(latents, wanted) < TOLERANCE


@pytest.mark.parametrize("frames", [1, 5, 9, 13])
def test_decoding_gives_the_video_of_the_diffusers_autoencoder(
    frames: int, folder: Path, reference: dict[str, Tensor]
) -> None:
    latents = (reference[f"latents.{frames}"] - per_channel(MEAN)) / per_channel(STD)
    video = WanVae.load(folder).decode(latents)
    assert error(video, reference[f"decoded.{frames}"]) < TOLERANCE
    assert video.abs().max() <= 1


@pytest.mark.parametrize("videos_at_once", [1, 2, 3])
def test_other_videos_of_a_batch_do_not_change_a_decoded_video(videos_at_once: int, folder: Path) -> None:
    torch.manual_seed(0)
    videos = torch.rand(3, 3, 5, 16, 24) * 2 - 1
    vae = WanVae.load(folder, videos_at_once=videos_at_once)
    latents = vae.encode(videos)
    for row in range(3):
        torch.testing.assert_close(latents[row : row + 1], vae.encode(videos[row : row + 1]), atol=1e-4, rtol=0)
        decoded = vae.decode(latents)[row : row + 1]
        torch.testing.assert_close(decoded, vae.decode(latents[row : row + 1]), atol=1e-4, rtol=0)


def test_tiles_stay_close_to_the_whole_picture(folder: Path) -> None:
    # Given a smooth picture larger than a tile
    x = torch.linspace(-1, 1, 96).view(1, 1, 1, 1, 96)
    y = torch.linspace(-1, 1, 80).view(1, 1, 1, 80, 1)
    video = (x * y).expand(1, 3, 5, 80, 96)
    whole, tiled = WanVae.load(folder), WanVae.load(folder, tile=64)
    latents = whole.encode(video)
    # When it is encoded and decoded in tiles
    encoded = (tiled.encode(video) - latents).abs()
    decoded = (tiled.decode(latents) - whole.decode(latents)).abs()
    # Then it differs little, and least where it is far from every seam (random weights blur nothing)
    assert encoded.mean() < 0.05
    assert decoded.mean() < 0.1
    assert encoded[..., :2, :2].mean() < 0.02
    assert decoded[..., :16, :16].mean() < 0.03


def test_a_picture_within_one_tile_is_not_cut(folder: Path) -> None:
    video = torch.rand(1, 3, 5, 32, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(WanVae.load(folder, tile=64).encode(video), WanVae.load(folder).encode(video))


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (5, [0]),  # smaller than a tile
        (8, [0]),
        (9, [0, 1]),
        (14, [0, 6]),
        (15, [0, 6, 7]),  # the last tile ends at the edge
        (20, [0, 6, 12]),
    ],
)
def test_tiles_cover_every_cell_and_overlap(size: int, wanted: list[int]) -> None:
    assert starts(size, tile=8, overlap=2) == wanted


def test_blending_tiles_of_what_needs_no_neighbours_changes_nothing() -> None:
    x = torch.rand(2, 3, 4, 26, 38, generator=torch.Generator().manual_seed(0))

    def grow(part: Tensor) -> Tensor:
        return part.repeat_interleave(3, dim=-1).repeat_interleave(3, dim=-2)

    torch.testing.assert_close(blended(grow, x, tile=5, overlap=2, cell_in=2, cell_out=6), grow(x))


def test_bfloat16_weights_give_float32_results_near_those_of_float32(folder: Path) -> None:
    video = torch.rand(1, 3, 5, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain, half = WanVae.load(folder), WanVae.load(folder).to(torch.bfloat16)
    latents = half.encode(video)
    assert latents.dtype == torch.float32
    assert error(latents, plain.encode(video)) < 0.03
    assert half.decode(latents).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 4, 16, 16), "video of 4 frames, 16x16: needed are 1 \\+ 4 n frames"),
        ((1, 3, 5, 12, 16), "video of 5 frames, 16x12: .* multiples of 8"),
        ((1, 1, 5, 16, 16), "needed is \\[batch, 3, frames, height, width\\]"),
        ((3, 5, 16, 16), "video of shape \\(3, 5, 16, 16\\)"),
        ((0, 3, 5, 16, 16), "video of shape \\(0, 3"),
    ],
)
def test_a_video_of_a_wrong_shape_is_refused(shape: tuple[int, ...], message: str, folder: Path) -> None:
    with pytest.raises(EngineError, match=message):
        WanVae.load(folder).encode(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 8, 2, 2, 2), (16, 2, 2, 2), (1, 16, 0, 2, 2)])
def test_latents_of_a_wrong_shape_are_refused(shape: tuple[int, ...], folder: Path) -> None:
    with pytest.raises(EngineError, match="needed is \\[batch, 16, frames, height, width\\]"):
        WanVae.load(folder).decode(torch.zeros(shape))


@pytest.mark.parametrize("tile", [60, 24, 0])
def test_a_tile_that_does_not_fit_the_latents_is_refused(tile: int) -> None:
    with pytest.raises(EngineError, match=f"tile = {tile}: needed is a multiple of 8 that is at least 32"):
        WanVae.from_config(CONFIG, tile=tile)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_residual": True}, "no Wan 2.1 autoencoder"),
        ({"patch_size": 2}, "no Wan 2.1 autoencoder"),
        ({"latents_mean": None}, "latents_mean missing"),
        ({"latents_std": [1.0]}, "16 and 1 numbers; needed is one per latent channel"),
        ({"temperal_downsample": [True]}, "one entry between every two levels"),
    ],
)
def test_a_configuration_of_another_autoencoder_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        WanVae.from_config(CONFIG | change)


def test_a_damaged_or_unfitting_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not readable as JSON"):
        WanVae.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"base_dim": 4}))
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        WanVae.load(tmp_path)
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    save_file(weights, tmp_path / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match="the weights do not fit"):
        WanVae.load(tmp_path)
