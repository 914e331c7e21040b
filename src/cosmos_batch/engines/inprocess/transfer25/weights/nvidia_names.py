"""Names and shapes of the tensors in NVIDIA's files of Transfer2.5, and the names that diffusers gives them.

NVIDIA's network holds the base and one control branch, which reads the same patches, noise levels and text as the
base; diffusers keeps a copy of those in each. Sources: `scripts/convert_cosmos_to_diffusers.py` of diffusers
(TRANSFORMER_KEYS_RENAME_DICT_COSMOS_2_0), and cosmos-transfer2.5's `minimal_v4_lvg_dit_control_vace.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from statistics import mode
from typing import NamedTuple

from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.errors import ModelError

Shape = tuple[int, ...]

_PUBLISHED = NetworkConfig()
_ANY = range(1, 1 << 31)
_MODULATIONS = {"self_attn": "norm1", "cross_attn": "norm2", "mlp": "norm3"}
_ATTENTIONS = {"self_attn": "attn1", "cross_attn": "attn2"}


class NetworkPart(StrEnum):
    """A network in a file."""

    BASE = "base"
    BRANCH = "branch"

    @property
    def blocks(self) -> str:
        """The name of its blocks."""
        return "blocks" if self is NetworkPart.BASE else "control_blocks"


class TensorName(NamedTuple):
    """A tensor of a network."""

    nvidia: str
    diffusers: str
    shape: Shape  # a 0 stands for a free size
    free: range = _ANY  # the values of a free size

    def has_shape(self, shape: Shape) -> bool:
        """Whether a shape is that of the tensor."""
        return len(shape) == len(self.shape) and all(
            size == wanted or (wanted == 0 and size in self.free)
            for size, wanted in zip(shape, self.shape, strict=True)
        )

    @property
    def shown_shape(self) -> str:
        """The shape for a message."""
        return "[" + ", ".join(str(size) if size else "any" for size in self.shape) + "]"


def names(part: NetworkPart, config: NetworkConfig) -> list[TensorName]:
    """The tensors that a network must have; its image context aside."""
    patch = config.patch**2
    width, inner = config.width, config.adaln_dim
    base = part is NetworkPart.BASE
    stem = "patch_embed" if base else "patch_embed_base"
    found = [*_stem(stem, config)]
    for index in range(config.blocks if base else config.control_blocks):
        theirs = f"{'transformer_' if base else 'control_'}blocks.{index}"
        found += _block(f"{part.blocks}.{index}", theirs, config)
    if base:
        modulation = "final_layer.adaln_modulation"
        found += [
            TensorName(f"{modulation}.1.weight", "norm_out.linear_1.weight", (inner, width)),
            TensorName(f"{modulation}.2.weight", "norm_out.linear_2.weight", (2 * width, inner)),
            TensorName("final_layer.linear.weight", "proj_out.weight", (config.latent_channels * patch, width)),
        ]
        return found
    columns = range((config.latent_channels + 2) * patch, _ANY.stop, patch)  # padded with channels of zeros
    found.append(TensorName("control_embedder.proj.1.weight", "patch_embed.proj.weight", (width, 0), columns))
    places = ["control_blocks.0.before_proj"]
    places += [f"control_blocks.{index}.after_proj" for index in range(config.control_blocks)]
    for place in places:
        found += [_same(f"{place}.weight", (width, width)), _same(f"{place}.bias", (width,))]
    return found


def image_names(part: NetworkPart, config: NetworkConfig) -> list[TensorName]:
    """The tensors of the image context: all of them are there, or none."""
    width = config.width
    found = [_same("img_context_proj.0.weight", (width, 0)), _same("img_context_proj.0.bias", (width,))]
    for index in range(config.blocks if part is NetworkPart.BASE else config.control_blocks):
        ours = f"{part.blocks}.{index}.cross_attn"
        theirs = f"{'transformer_' if part is NetworkPart.BASE else 'control_'}blocks.{index}.attn2"
        for name, shape in _image_shapes(config):
            found.append(TensorName(f"{ours}.{name}.weight", f"{theirs}.{name}.weight", shape))
    return found


def _image_shapes(config: NetworkConfig) -> Iterator[tuple[str, Shape]]:
    yield from ((name, (config.width, config.width)) for name in ("q_img", "k_img", "v_img"))
    yield from ((name, (config.head_dim,)) for name in ("q_img_norm", "k_img_norm"))


def _same(name: str, shape: Shape) -> TensorName:
    return TensorName(name, name, shape)


def _stem(patch: str, config: NetworkConfig) -> Iterator[TensorName]:
    width = config.width
    time = "time_embed.t_embedder"
    yield TensorName(
        "x_embedder.proj.1.weight",
        f"{patch}.proj.weight",
        (width, (config.latent_channels + 2) * config.patch**2),
    )
    yield TensorName("t_embedder.1.linear_1.weight", f"{time}.linear_1.weight", (width, width))
    yield TensorName("t_embedder.1.linear_2.weight", f"{time}.linear_2.weight", (3 * width, width))
    yield TensorName("t_embedding_norm.weight", "time_embed.norm.weight", (width,))
    if config.text_dim is not None:
        yield _same("crossattn_proj.0.weight", (config.context_dim, config.text_dim))
        yield _same("crossattn_proj.0.bias", (config.context_dim,))


def _block(ours: str, theirs: str, config: NetworkConfig) -> Iterator[TensorName]:
    width, inner, hidden = config.width, config.adaln_dim, round(config.width * config.mlp_ratio)
    for name, norm in _MODULATIONS.items():
        source = f"{ours}.adaln_modulation_{name}"
        yield TensorName(f"{source}.1.weight", f"{theirs}.{norm}.linear_1.weight", (inner, width))
        yield TensorName(f"{source}.2.weight", f"{theirs}.{norm}.linear_2.weight", (3 * width, inner))
    for name, attention in _ATTENTIONS.items():
        source, target = f"{ours}.{name}", f"{theirs}.{attention}"
        context = width if name == "self_attn" else config.context_dim
        for part, size in (("q", width), ("k", context), ("v", context)):
            yield TensorName(f"{source}.{part}_proj.weight", f"{target}.to_{part}.weight", (width, size))
        yield TensorName(f"{source}.output_proj.weight", f"{target}.to_out.0.weight", (width, width))
        for part in "qk":
            yield TensorName(f"{source}.{part}_norm.weight", f"{target}.norm_{part}.weight", (config.head_dim,))
    yield TensorName(f"{ours}.mlp.layer1.weight", f"{theirs}.ff.net.0.proj.weight", (hidden, width))
    yield TensorName(f"{ours}.mlp.layer2.weight", f"{theirs}.ff.net.2.weight", (width, hidden))


def network_config(shapes: Mapping[str, Shape]) -> NetworkConfig:
    """The sizes of a network, from the shapes of its tensors.

    The scale of the rotary positions is not in them, and is the published one. Of a file with a branch alone, the
    base is taken to be seven times as deep and its patches to be 2 x 2, as published.

    Raises ModelError for sizes that no such network has.
    """
    blocks, control_blocks = (_count(shapes, part.blocks) for part in (NetworkPart.BASE, NetworkPart.BRANCH))
    if blocks and control_blocks and blocks % control_blocks:
        raise ModelError(
            f"has {blocks} blocks and {control_blocks} control blocks, whose residuals would enter at no even "
            "distance: blocks are missing"
        )
    blocks = blocks or control_blocks * _PUBLISHED.inject_every
    width = _size(shapes, "self_attn.q_proj.weight", 0)
    head_dim = _size(shapes, "self_attn.q_norm.weight", 0)
    text = shapes.get("crossattn_proj.0.weight", ())
    channels, patch = _patch(shapes)
    if not head_dim or not width or width % head_dim:
        raise ModelError(f"has heads of {head_dim} numbers, which do not divide its width of {width}")
    return NetworkConfig(
        latent_channels=channels,
        heads=width // head_dim,
        head_dim=head_dim,
        blocks=blocks,
        control_blocks=control_blocks or 1,
        inject_every=blocks // (control_blocks or 1),
        mlp_ratio=_size(shapes, "mlp.layer1.weight", 0) / width,
        adaln_dim=_size(shapes, "adaln_modulation_self_attn.1.weight", 0),
        context_dim=_size(shapes, "cross_attn.k_proj.weight", 1),
        text_dim=text[1] if len(text) == 2 else None,
        patch=patch,
    )


def _size(shapes: Mapping[str, Shape], name: str, axis: int) -> int:
    """One size of a tensor that every block has: the one that most blocks have."""
    pattern = re.compile(rf"(control_)?blocks\.\d+\.{re.escape(name)}")
    found = [shape[axis] for each, shape in shapes.items() if pattern.fullmatch(each) and axis < len(shape)]
    if not any(found):
        raise ModelError(f"has no tensor {name} in any of its blocks")
    return mode(found)


def _patch(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """Latent channels and patch: the network takes flag and padding mask beside the latents, and gives latents."""
    taken, given = shapes.get("x_embedder.proj.1.weight", ()), shapes.get("final_layer.linear.weight", ())
    if len(given) != 2:
        return (
            (taken[1] // _PUBLISHED.patch**2 - 2) if len(taken) == 2 else _PUBLISHED.latent_channels
        ), _PUBLISHED.patch
    if len(taken) != 2:
        return given[0] // _PUBLISHED.patch**2, _PUBLISHED.patch
    square = (taken[1] - given[0]) // 2
    patch = math.isqrt(max(square, 0))
    if patch == 0 or patch**2 * 2 != taken[1] - given[0] or given[0] % square:
        raise ModelError(
            f"takes {taken[1]} numbers of a patch (x_embedder) and gives {given[0]} (final_layer), which no patch "
            "of latents has with a flag and a padding mask"
        )
    return given[0] // square, patch


def _count(shapes: Mapping[str, Shape], blocks: str) -> int:
    """How many blocks there are, up to the highest number."""
    found = [name.split(".")[1] for name in shapes if name.startswith(f"{blocks}.")]
    return 1 + max((int(number) for number in found if number.isdecimal() and len(number) < 4), default=-1)


def short(found: Sequence[str], most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest} more" if rest > 0 else "")
