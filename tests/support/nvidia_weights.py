"""Weights of a model by NVIDIA's names, made of those in a folder of the diffusers layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

# The other way round in scripts/convert_cosmos_to_diffusers.py of diffusers, written out once more for the tests
_RENAMED = {
    r"^transformer_blocks\.": "blocks.",
    r"^patch_embed_base\.": "x_embedder.",
    r"^norm_out\.linear_": "final_layer.adaln_modulation.",
    r"^proj_out\.": "final_layer.linear.",
    r"^time_embed\.t_embedder\.": "t_embedder.1.",
    r"^time_embed\.norm\.": "t_embedding_norm.",
    r"\.norm1\.linear_": ".adaln_modulation_self_attn.",
    r"\.norm2\.linear_": ".adaln_modulation_cross_attn.",
    r"\.norm3\.linear_": ".adaln_modulation_mlp.",
    r"\.attn1\.": ".self_attn.",
    r"\.attn2\.": ".cross_attn.",
    r"\.to_([qkv])\.": r".\1_proj.",
    r"\.to_out\.0\.": ".output_proj.",
    r"\.norm_([qk])\.": r".\1_norm.",
    r"\.ff\.net\.0\.proj\.": ".mlp.layer1.",
    r"\.ff\.net\.2\.": ".mlp.layer2.",
    r"^(x_embedder|control_embedder)\.proj\.": r"\1.proj.1.",
}
_STEM = ("time_embed.", "crossattn_proj.", "img_context_proj.")


def _renamed(name: str, patch: str) -> str:
    name = re.sub(r"^patch_embed\.", f"{patch}.", name)
    for theirs, ours in _RENAMED.items():
        name = re.sub(theirs, ours, name)
    return name


def with_stem(branch: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A branch whose first layers are the base's, which NVIDIA's files hold once for both."""
    shared = {name: base[name] for name in branch if name.startswith(_STEM)}
    return dict(branch) | shared | {"patch_embed_base.proj.weight": base["patch_embed.proj.weight"]}


def nvidia_tensors(base: Mapping[str, Tensor], branch: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """One network by NVIDIA's names, without prefix."""
    tensors = {_renamed(name, "control_embedder"): tensor for name, tensor in (branch or {}).items()}
    return tensors | {_renamed(name, "x_embedder"): tensor for name, tensor in base.items()}


def prefixed(tensors: Mapping[str, object], prefix: str = "net.") -> dict[str, object]:
    """The same under names with a prefix."""
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def folder_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a component in the diffusers layout."""
    return load_file(folder / "diffusion_pytorch_model.safetensors")


def model_tensors(model: Path, control: str = "edge") -> dict[str, Tensor]:
    """Base and a control's branch of a model in the diffusers layout, by NVIDIA's names."""
    places = (model / "controlnet" / control, model / f"controlnet_{control}")
    base = folder_tensors(model / "transformer")
    branch = folder_tensors(next(place for place in places if place.is_dir()))
    return nvidia_tensors(base, with_stem(branch, base))


def write_nvidia_file(path: Path, tensors: Mapping[str, object], prefix: str = "net.") -> Path:
    """Write a file as NVIDIA publishes them; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(prefixed(tensors, prefix), path)
    return path
