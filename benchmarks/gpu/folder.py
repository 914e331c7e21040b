"""A whole model with random weights, in the published layout: `python -m benchmarks.gpu.folder DIR`.

It loads as Cosmos-Transfer2.5-2B does: transformer/, controlnet_<control>/ of all four, vae/,
text_encoder/ (Qwen2.5-VL-7B's language model with a stub of a vision tower), tokenizer/, scheduler/, and
cosmos_batch.json without a guardrail. About 23 GB in bfloat16, made on the GPU where there is one. `--tiny` writes
the same with a few numbers in each, for the CPU. Needs transformers and tokenizers, but not diffusers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.gpu.text import Shape, Shapes, write_qwen
from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.loader import pick_device
from cosmos_batch.engines.inprocess.model_settings import SETTINGS_FILE, ModelSettings
from cosmos_batch.engines.inprocess.transfer25 import published
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig, to_diffusers
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_to_diffusers, branch_to_diffusers
from cosmos_batch.engines.inprocess.transfer25.schedule import SIGMA_MAX
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer
from cosmos_batch.engines.inprocess.vae.wan import WanVae

WEIGHTS = "diffusion_pytorch_model.safetensors"
WRITERS = 8  # files that are written at the same time
VAE: dict[str, Any] = {
    "base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [],
    "temperal_downsample": [False, True, True], "dropout": 0.0,
    "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16,
}  # fmt: skip
"""The sizes of Wan 2.1's autoencoder. Random weights have no statistics of their own to take out."""


QUIET = {"vae/decoder.conv_out.weight": 0.05}
"""Factors of weights that are made smaller. Random weights decode to noise, on which a video encoder spends
several times as long as on pictures, unless the noise is faint."""


@dataclass(frozen=True)
class ImageContext:
    """Size of the image context of the published network; its pipeline sets the context to zero."""

    tokens: int
    width: int


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model's networks."""

    network: NetworkConfig
    image: ImageContext | None
    control_channels: int  # of a control's latents with flag and padding mask, padded with zeros
    vae: Mapping[str, Any]
    text: Mapping[str, Any]  # see `text.configuration`
    settings: ModelSettings


PUBLISHED = Sizes(
    NetworkConfig(),
    ImageContext(256, 1024),
    130,
    VAE,
    {"vocabulary": 152_064, "width": 3584, "middle": 18_944, "layers": 28, "heads": 28, "key_heads": 4},
    replace(published.SETTINGS, guardrail="none"),
)
TINY = Sizes(
    NetworkConfig(
        heads=2, head_dim=16, blocks=4, control_blocks=2, inject_every=2, adaln_dim=8, context_dim=32, text_dim=64
    ),
    ImageContext(4, 16),
    20,
    VAE | {"base_dim": 4},
    {"vocabulary": 512, "width": 32, "middle": 48, "layers": 2, "heads": 2, "key_heads": 1},
    replace(
        published.SETTINGS,
        guardrail="none",
        sizes={"32": {"3:2": (48, 32)}, "48": {"3:2": (80, 48)}},
        chunk_frames=9,
        defaults=replace(published.SETTINGS.defaults, num_steps=3, resolution="32"),
    ),
)
"""The same layout with small numbers."""


def random_tensor(name: str, shape: Shape, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A weight that keeps the scale of its input; equal for equal name, device and number format.

    Norms are ones, biases zeros.
    """
    if name.endswith("bias"):
        return torch.zeros(shape, device=device, dtype=dtype)
    if len(shape) < 2 or name.endswith("gamma"):
        return torch.ones(shape, device=device, dtype=dtype)
    seeded = torch.Generator(device).manual_seed(crc32(name.encode()))
    values = torch.randn(shape, generator=seeded, device=device, dtype=dtype)
    return values.mul_(QUIET.get(name, 1.0) * values[0].numel() ** -0.5)


def write_weights(file: Path, shapes: Mapping[str, Shape], device: torch.device, dtype: torch.dtype) -> None:
    """Write random tensors of these shapes as a safetensors file. The weights depend on folder and name."""
    named = {name: f"{file.parent.name}/{name}" for name in shapes}
    tensors = {name: random_tensor(named[name], shape, device, dtype).cpu() for name, shape in shapes.items()}
    save_file(tensors, file, metadata={"format": "pt"})


def base_shapes(sizes: Sizes) -> Shapes:
    """Shapes of diffusers' CosmosTransformer3DModel."""
    with torch.device("meta"):
        state = Transformer(sizes.network).state_dict()
    shapes = _shapes(base_to_diffusers(state, sizes.network))
    return shapes | _image_shapes(sizes, [f"transformer_blocks.{i}" for i in range(sizes.network.blocks)])


def branch_shapes(sizes: Sizes) -> Shapes:
    """Shapes of diffusers' CosmosControlNetModel."""
    with torch.device("meta"):
        state = ControlBranch(sizes.network).state_dict()
    shapes = _shapes(branch_to_diffusers(state, sizes.network))
    width = sizes.network.width
    shapes["patch_embed.proj.weight"] = (width, sizes.control_channels * sizes.network.patch**2)
    return shapes | _image_shapes(sizes, [f"control_blocks.{i}" for i in range(sizes.network.control_blocks)])


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _image_shapes(sizes: Sizes, blocks: Iterable[str]) -> Shapes:
    """The tensors of the image context, which our network folds into one vector per block."""
    image, width = sizes.image, sizes.network.width
    if image is None:
        return {}
    shapes: Shapes = {
        "img_context_proj.0.weight": (width, image.width),
        "img_context_proj.0.bias": (width,),
    }
    for block in blocks:
        for part in ("q_img", "k_img", "v_img"):
            shapes[f"{block}.attn2.{part}.weight"] = (width, width)
        for part in ("q_img_norm", "k_img_norm"):
            shapes[f"{block}.attn2.{part}.weight"] = (sizes.network.head_dim,)
    return shapes


def network_configs(sizes: Sizes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The diffusers configurations of the transformer and of one branch."""
    base, control = to_diffusers(sizes.network)
    shared: dict[str, Any] = {"max_size": [128, 240, 240]}
    if sizes.image is not None:
        shared |= {"img_context_dim_in": sizes.image.width, "img_context_dim_out": sizes.network.width}
        base = base | {"img_context_num_tokens": sizes.image.tokens}
    return base | shared, control | shared | {"in_channels": sizes.control_channels}


def vae_shapes(sizes: Sizes) -> Shapes:
    """Shapes of diffusers' AutoencoderKLWan, which has the same names as ours."""
    with torch.device("meta"):
        return _shapes(WanVae.from_config(sizes.vae).state_dict())


def write_settings(root: Path, settings: ModelSettings) -> None:
    """Write cosmos_batch.json."""
    values = TypeAdapter(ModelSettings).dump_python(settings, mode="json", exclude_none=True)
    (root / SETTINGS_FILE).write_text(json.dumps(values, indent=1))


def _folder(root: Path, name: str, config: Mapping[str, Any]) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return folder


TextWriter = Callable[[Path, Sizes], Mapping[Path, Shapes]]
"""Writes the files of the text encoder without its weights; returns the shapes of these by file."""


def write_model(root: Path, sizes: Sizes, write_text: TextWriter, device: torch.device) -> Path:
    """Write all folders of a model; returns its root, which must not exist.

    The autoencoder is in float32, as published, all else in bfloat16.
    """
    files: dict[Path, Shapes] = {}
    base, control = network_configs(sizes)
    files[_folder(root, "transformer", base) / WEIGHTS] = base_shapes(sizes)
    for name in TRANSFER_CONTROLS:
        files[_folder(root, f"controlnet_{published.PUBLISHED.control_names[name]}", control) / WEIGHTS] = (
            branch_shapes(sizes)
        )
    vae = _folder(root, "vae", dict(sizes.vae) | {"_class_name": "AutoencoderKLWan"}) / WEIGHTS
    files |= write_text(root, sizes)
    scheduler = root / "scheduler"
    scheduler.mkdir()
    values = dict(published.PUBLISHED.scheduler) | {"sigma_max": SIGMA_MAX, "num_train_timesteps": 1000}
    (scheduler / "scheduler_config.json").write_text(json.dumps(values, indent=1))
    write_settings(root, sizes.settings)
    with ThreadPoolExecutor(WRITERS) as pool:
        jobs = [pool.submit(write_weights, file, shapes, device, torch.bfloat16) for file, shapes in files.items()]
        jobs.append(pool.submit(write_weights, vae, vae_shapes(sizes), device, torch.float32))
        for job in jobs:
            job.result()
    return root


def _write_qwen(root: Path, sizes: Sizes) -> Mapping[Path, Shapes]:
    return write_qwen(root, sizes.text)


def main(arguments: Sequence[str] | None = None, write_text: TextWriter | None = None) -> None:
    """Write the model and print its size and the time. `write_text`: Qwen2.5-VL unless given."""

    parser = argparse.ArgumentParser(description="A whole model with random weights, in the published layout.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a few numbers in place of 23 GB")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()
    write_model(options.folder, TINY if options.tiny else PUBLISHED, write_text or _write_qwen, pick_device())
    written = sum(file.stat().st_size for file in options.folder.rglob("*.safetensors"))
    print(f"{options.folder}: {written / 1e9:.1f} GB in {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
