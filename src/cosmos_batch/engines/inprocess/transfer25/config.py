"""Sizes of the Transfer2.5 network, read from and written to the diffusers configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmos_batch.errors import ModelError


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The transformer and its control branches; the defaults are those of Cosmos-Transfer2.5-2B."""

    latent_channels: int = 16
    heads: int = 16
    head_dim: int = 128
    blocks: int = 28
    control_blocks: int = 4  # of each branch
    inject_every: int = 7  # the j-th control block's residual enters after base block j * inject_every
    mlp_ratio: float = 4.0
    adaln_dim: int = 256  # inner width of the low-rank modulation
    context_dim: int = 1024  # width of a text token as cross-attention reads it
    text_dim: int | None = 100_352  # width of the text features; None: they are context_dim wide already
    patch: int = 2  # height and width of a patch, in latent pixels; its length is one latent frame
    rope_scale: tuple[float, float, float] = (1.0, 3.0, 3.0)  # time, height, width

    def __post_init__(self) -> None:
        if self.head_dim % 2 or self.head_dim < 16:
            raise ModelError(f"head_dim = {self.head_dim}: must be even and at least 16")
        if self.inject_every * (self.control_blocks - 1) >= self.blocks:
            raise ModelError(
                f"{self.control_blocks} control blocks injected every {self.inject_every} blocks "
                f"do not fit a base of {self.blocks} blocks"
            )

    @property
    def width(self) -> int:
        """Channels of the residual stream."""
        return self.heads * self.head_dim


def _require(config: Mapping[str, Any], wanted: Mapping[str, object], file: str) -> None:
    wrong = {name: config.get(name) for name, value in wanted.items() if config.get(name, value) != value}
    if wrong:
        found = ", ".join(f"{name} = {value!r}" for name, value in wrong.items())
        needed = ", ".join(f"{name} = {wanted[name]!r}" for name in wrong)
        raise ModelError(f"{file}: {found}: this is no Transfer2.5 network; needed is {needed}")


def from_diffusers(base: Mapping[str, Any], control: Mapping[str, Any] | None = None) -> NetworkConfig:
    """The sizes that `transformer/config.json` and a controlnet's `config.json` state.

    Raises ModelError where they describe a network of another kind.
    """
    _require(base, {"concat_padding_mask": True, "extra_pos_embed_type": None}, "transformer/config.json")
    patch_t, patch_h, patch_w = base["patch_size"]
    if patch_t != 1 or patch_h != patch_w:
        raise ModelError(f"transformer/config.json: patch_size = {base['patch_size']}: needed is [1, p, p]")
    projected = base.get("use_crossattn_projection", False)
    return NetworkConfig(
        latent_channels=base["out_channels"],
        heads=base["num_attention_heads"],
        head_dim=base["attention_head_dim"],
        blocks=base["num_layers"],
        control_blocks=control["n_controlnet_blocks"] if control else 1,
        inject_every=base["controlnet_block_every_n"],
        mlp_ratio=base["mlp_ratio"],
        adaln_dim=base["adaln_lora_dim"],
        context_dim=base["text_embed_dim"],
        text_dim=base["crossattn_proj_in_channels"] if projected else None,
        patch=patch_h,
        rope_scale=tuple(base["rope_scale"]),
    )


def to_diffusers(config: NetworkConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The diffusers configurations of the transformer and of one control branch."""
    shared = {
        "adaln_lora_dim": config.adaln_dim,
        "attention_head_dim": config.head_dim,
        "crossattn_proj_in_channels": config.text_dim or config.context_dim,
        "encoder_hidden_states_channels": config.context_dim,
        "extra_pos_embed_type": None,
        "mlp_ratio": config.mlp_ratio,
        "num_attention_heads": config.heads,
        "patch_size": [1, config.patch, config.patch],
        "rope_scale": list(config.rope_scale),
        "text_embed_dim": config.context_dim,
        "use_crossattn_projection": config.text_dim is not None,
    }
    base = {
        "_class_name": "CosmosTransformer3DModel",
        "concat_padding_mask": True,
        "controlnet_block_every_n": config.inject_every,
        "in_channels": config.latent_channels + 1,
        "num_layers": config.blocks,
        "out_channels": config.latent_channels,
    }
    control = {
        "_class_name": "CosmosControlNetModel",
        "in_channels": config.latent_channels + 2,
        "latent_channels": config.latent_channels + 2,
        "model_channels": config.width,
        "n_controlnet_blocks": config.control_blocks,
    }
    return shared | base, shared | control
