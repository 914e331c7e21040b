"""Weights between the diffusers folder layout and our network, both ways.

diffusers keeps query, key and value apart, an input channel for the padding mask (always zero in Transfer2.5),
and an image context (always zero too). Reading fuses the first, drops the second and folds the third into one
vector per block; writing does the reverse, without an image context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.errors import ModelError

_PLAIN = {"ff.net.0.proj.weight": "up.weight", "ff.net.2.weight": "down.weight"}
_ATTENTION = {
    "attn1": ("attention", ("norm_q", "norm_k")),
    "attn2": ("cross", ("norm_q", "norm_k")),
}


def _take(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    try:
        return tensors[name]
    except KeyError:
        raise ModelError(f"the checkpoint has no tensor {name!r}; it is of another model or incomplete") from None


def _input_columns(weight: Tensor, config: NetworkConfig, channels: tuple[int, ...]) -> Tensor:
    """The columns of a patch embedding [D, all channels * patch^2] that belong to `channels`."""
    return weight.unflatten(1, (-1, config.patch**2))[:, list(channels)].flatten(1)


def _stem(tensors: Mapping[str, Tensor], config: NetworkConfig, patch: str) -> dict[str, Tensor]:
    latent_and_flag = tuple(range(config.latent_channels + 1))
    stem = {
        "patch.weight": _input_columns(_take(tensors, f"{patch}.proj.weight"), config, latent_and_flag),
        "time_in.weight": _take(tensors, "time_embed.t_embedder.linear_1.weight"),
        "time_out.weight": _take(tensors, "time_embed.t_embedder.linear_2.weight"),
        "time_norm.weight": _take(tensors, "time_embed.norm.weight"),
    }
    if config.text_dim is not None:
        for part in ("weight", "bias"):
            stem[f"text_in.{part}"] = _take(tensors, f"crossattn_proj.0.{part}")
    return stem


def _image_bias(tensors: Mapping[str, Tensor], block: str) -> Tensor | None:
    """Return what attention to an image context of zeros adds: all keys are equal, so it gives their value."""
    if "img_context_proj.0.bias" not in tensors:
        return None
    context = F.gelu(tensors["img_context_proj.0.bias"].float())
    value = _take(tensors, f"{block}.attn2.v_img.weight").float() @ context
    return _take(tensors, f"{block}.attn2.to_out.0.weight").float() @ value


def _block(tensors: Mapping[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    def take(name: str) -> Tensor:
        return _take(tensors, f"{source}.{name}")

    block = {ours: take(theirs) for theirs, ours in _PLAIN.items()}
    for theirs, (ours, norms) in _ATTENTION.items():
        block[f"{ours}.out.weight"] = take(f"{theirs}.to_out.0.weight")
        for norm in norms:
            block[f"{ours}.{norm}.weight"] = take(f"{theirs}.{norm}.weight")
    block["attention.qkv.weight"] = torch.cat([take(f"attn1.to_{part}.weight") for part in "qkv"])
    block["cross.q.weight"] = take("attn2.to_q.weight")
    block["cross.kv.weight"] = torch.cat([take(f"attn2.to_{part}.weight") for part in "kv"])
    bias = _image_bias(tensors, source)
    width = block["cross.q.weight"].shape[0]
    block["cross.image_bias"] = torch.zeros(width) if bias is None else bias
    return {f"{target}.{name}": tensor for name, tensor in block.items()}


def _modulation(tensors: Mapping[str, Tensor], blocks: Sequence[str]) -> dict[str, Tensor]:
    """The low-rank matrices of all blocks, named as in diffusers, in one tensor each."""
    places = [f"{block}.norm{i}" for block in blocks for i in (1, 2, 3)]
    inner = [_take(tensors, f"{place}.linear_1.weight") for place in places]
    outer = [_take(tensors, f"{place}.linear_2.weight") for place in places]
    return {
        "modulation.inner.weight": torch.cat(inner),
        "modulation.outer": torch.stack(outer).unflatten(0, (-1, 3)),
    }


def _modulation_out(state: Mapping[str, Tensor], blocks: Sequence[str]) -> dict[str, Tensor]:
    places = [f"{block}.norm{i}" for block in blocks for i in (1, 2, 3)]
    inner = state["modulation.inner.weight"].chunk(len(places))
    outer = state["modulation.outer"].flatten(0, 1)
    tensors = {f"{place}.linear_1.weight": part.clone() for place, part in zip(places, inner, strict=True)}
    return tensors | {f"{place}.linear_2.weight": part.clone() for place, part in zip(places, outer, strict=True)}


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}.{index}" for index in range(count)]


def base_from_diffusers(tensors: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """State of our `Transformer` from a diffusers CosmosTransformer3DModel's."""
    state = _stem(tensors, config, "patch_embed")
    names = _names("transformer_blocks", config.blocks)
    state |= _modulation(tensors, names)
    for index, name in enumerate(names):
        state |= _block(tensors, name, f"blocks.{index}")
    state["out_inner.weight"] = _take(tensors, "norm_out.linear_1.weight")
    state["out_outer.weight"] = _take(tensors, "norm_out.linear_2.weight")
    state["out.weight"] = _take(tensors, "proj_out.weight")
    return state


def branch_from_diffusers(tensors: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """State of our `ControlBranch` from a diffusers CosmosControlNetModel's.

    Its control input is the latents, zeros up to a fixed width, the flag of known frames, the padding mask.
    """
    state = _stem(tensors, config, "patch_embed_base")
    weight = _take(tensors, "patch_embed.proj.weight")
    flag = weight.shape[1] // config.patch**2 - 2
    channels = (*range(config.latent_channels), flag)
    state["control_patch.weight"] = _input_columns(weight, config, channels)
    for part in ("weight", "bias"):
        state[f"before.{part}"] = _take(tensors, f"control_blocks.0.before_proj.{part}")
    names = _names("control_blocks", config.control_blocks)
    state |= _modulation(tensors, names)
    for index, name in enumerate(names):
        state |= _block(tensors, name, f"blocks.{index}")
        for part in ("weight", "bias"):
            state[f"after.{index}.{part}"] = _take(tensors, f"{name}.after_proj.{part}")
    return state


def _padded(weight: Tensor, config: NetworkConfig) -> Tensor:
    """A patch embedding with a last input channel (the padding mask) of zeros."""
    return torch.cat((weight, weight.new_zeros(weight.shape[0], config.patch**2)), dim=1)


def _stem_out(state: Mapping[str, Tensor], config: NetworkConfig, patch: str) -> dict[str, Tensor]:
    stem = {
        f"{patch}.proj.weight": _padded(state["patch.weight"], config),
        "time_embed.t_embedder.linear_1.weight": state["time_in.weight"],
        "time_embed.t_embedder.linear_2.weight": state["time_out.weight"],
        "time_embed.norm.weight": state["time_norm.weight"],
    }
    if config.text_dim is not None:
        stem |= {f"crossattn_proj.0.{part}": state[f"text_in.{part}"] for part in ("weight", "bias")}
    return stem


def _block_out(state: Mapping[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    def give(name: str) -> Tensor:
        return state[f"{source}.{name}"]

    block = {theirs: give(ours) for theirs, ours in _PLAIN.items()}
    for theirs, (ours, norms) in _ATTENTION.items():
        block[f"{theirs}.to_out.0.weight"] = give(f"{ours}.out.weight")
        block |= {f"{theirs}.{norm}.weight": give(f"{ours}.{norm}.weight") for norm in norms}
    for part, weight in zip("qkv", give("attention.qkv.weight").chunk(3), strict=True):
        block[f"attn1.to_{part}.weight"] = weight
    block["attn2.to_q.weight"] = give("cross.q.weight")
    for part, weight in zip("kv", give("cross.kv.weight").chunk(2), strict=True):
        block[f"attn2.to_{part}.weight"] = weight
    return {f"{target}.{name}": tensor.clone() for name, tensor in block.items()}


def base_to_diffusers(state: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """A diffusers CosmosTransformer3DModel's state from our `Transformer`'s, whose image bias must be zero."""
    names = _names("transformer_blocks", config.blocks)
    tensors = _stem_out(state, config, "patch_embed") | _modulation_out(state, names)
    for index, name in enumerate(names):
        tensors |= _block_out(state, f"blocks.{index}", name)
    tensors["norm_out.linear_1.weight"] = state["out_inner.weight"]
    tensors["norm_out.linear_2.weight"] = state["out_outer.weight"]
    tensors["proj_out.weight"] = state["out.weight"]
    return tensors


def branch_to_diffusers(state: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """A diffusers CosmosControlNetModel's state from our `ControlBranch`'s, whose image bias must be zero."""
    tensors = _stem_out(state, config, "patch_embed_base")
    tensors["patch_embed.proj.weight"] = _padded(state["control_patch.weight"], config)
    for part in ("weight", "bias"):
        tensors[f"control_blocks.0.before_proj.{part}"] = state[f"before.{part}"]
    names = _names("control_blocks", config.control_blocks)
    tensors |= _modulation_out(state, names)
    for index, name in enumerate(names):
        tensors |= _block_out(state, f"blocks.{index}", name)
        for part in ("weight", "bias"):
            tensors[f"{name}.after_proj.{part}"] = state[f"after.{index}.{part}"]
    return tensors
