"""A stand-in for the diffusers library: its classes' interfaces around our networks, for the benchmarks' tests.

The networks compute in float32 or bfloat16 as the benchmarks ask, so that the benchmarks' errors are those of
rounding alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.folder import TINY, Sizes
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import (
    base_from_diffusers,
    base_to_diffusers,
    branch_from_diffusers,
    branch_to_diffusers,
)
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer, rotary
from cosmos_batch.engines.inprocess.vae.wan import WanVae

SIZES: Sizes = TINY


class StandInNetwork(nn.Module):
    """Interface that both networks share: made from a configuration, weights under diffusers' names."""

    network: Transformer | ControlBranch

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = SimpleNamespace(**config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> StandInNetwork:
        """Make the network, with weights as PyTorch initialises them."""
        return cls(config)

    @staticmethod
    def load_config(folder: Path) -> dict[str, Any]:
        """Read config.json."""
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        return config

    def inputs(self, latents: Tensor, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Tokens, noise level, text and rotary table, from the arguments that both networks are called with."""
        known = given["condition_mask"][:, 0, :, 0, 0]
        sigma = given["timestep"][:, 0, :, 0, 0].float()
        features = given["encoder_hidden_states"][0]
        _, _, frames, height, width = latents.shape
        table = rotary(SIZES.network, frames, height // 2, width // 2, latents.device)
        return self.network.patches(latents, known), sigma, self.network.read(features), table


class CosmosControlNetModel(StandInNetwork):
    """A control branch: latents and a control's latents to residuals."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.network: ControlBranch = ControlBranch(SIZES.network)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Tensor]:
        """Weights under diffusers' names."""
        return dict(branch_to_diffusers(self.network.state_dict(), SIZES.network))

    def load_state_dict(self, state: Mapping[str, Tensor], *_: Any, **__: Any) -> None:
        """Take weights under diffusers' names."""
        self.network.load_state_dict(branch_from_diffusers(state, SIZES.network))

    def forward(
        self, controls_latents: Tensor, latents: Tensor, conditioning_scale: float, **given: Any
    ) -> tuple[list[Tensor]]:
        """Residuals of every control block, scaled."""
        patches, sigma, text, table = self.inputs(latents, given)
        tokens = self.network.embed(controls_latents, given["condition_mask"][:, 0, :, 0, 0])
        residuals = self.network(patches, sigma, tokens, text, table)
        return ([conditioning_scale * residual for residual in residuals],)


class CosmosTransformer3DModel(StandInNetwork):
    """The base network: latents and residuals to a velocity."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.network: Transformer = Transformer(SIZES.network)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Tensor]:
        """Weights under diffusers' names."""
        return dict(base_to_diffusers(self.network.state_dict(), SIZES.network))

    def load_state_dict(self, state: Mapping[str, Tensor], *_: Any, **__: Any) -> None:
        """Take weights under diffusers' names."""
        self.network.load_state_dict(base_from_diffusers(state, SIZES.network))

    def forward(
        self, hidden_states: Tensor, block_controlnet_hidden_states: Sequence[Tensor], **given: Any
    ) -> tuple[Tensor]:
        """Velocity [1, C, T, H, W]."""
        patches, sigma, text, table = self.inputs(hidden_states, given)
        _, _, frames, height, width = hidden_states.shape
        tokens = self.network(patches, sigma, text, block_controlnet_hidden_states, table)
        return (self.network.unpatch(tokens, frames, height, width),)


class AutoencoderKLWan:
    """The Wan autoencoder: ours, whose latents are normalised with a mean of 0 and a deviation of 1."""

    def __init__(self, vae: WanVae, config: Mapping[str, Any]) -> None:
        self._vae = vae
        self.config = SimpleNamespace(**config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AutoencoderKLWan:
        """Make the autoencoder."""
        return cls(WanVae.from_config(config), config)

    @classmethod
    def from_pretrained(cls, folder: Path, torch_dtype: torch.dtype) -> AutoencoderKLWan:
        """Load the autoencoder."""
        return cls(WanVae.load(folder).to(torch_dtype), cls.load_config(folder))

    load_config = staticmethod(StandInNetwork.load_config)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take weights."""
        self._vae.load_state_dict(state)

    def to(self, device: torch.device) -> AutoencoderKLWan:
        """Move to a device."""
        self._vae.to(device)
        return self

    def eval(self) -> AutoencoderKLWan:
        """Use for inference."""
        self._vae.eval()
        return self

    def requires_grad_(self, required: bool) -> AutoencoderKLWan:
        """Set whether weights need gradients."""
        self._vae.requires_grad_(required)
        return self

    def encode(self, video: Tensor) -> SimpleNamespace:
        """Latents [1, C, T, H, W] of a video [1, 3, F, H, W], as a distribution."""
        latents = self._vae.encode(video)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        """A video [1, 3, F, H, W]."""
        return SimpleNamespace(sample=self._vae.decode(latents))


class UniPCMultistepScheduler:
    """A noise schedule with Euler steps in place of UniPC's."""

    sigmas: Tensor
    timesteps: Tensor

    @classmethod
    def from_pretrained(cls, _folder: Path) -> UniPCMultistepScheduler:
        """Ignore the folder: the schedule is linear."""
        return cls()

    def set_timesteps(self, steps: int, device: torch.device) -> None:
        """Choose the noise levels."""
        self.sigmas = torch.linspace(1.0, 0.0, steps + 1, device=device)
        self.timesteps = 1000 * self.sigmas[:-1]

    def step(self, velocity: Tensor, time_step: Tensor, latents: Tensor, **_: Any) -> tuple[Tensor]:
        """One Euler step."""
        place = int((self.timesteps == time_step).nonzero()[0])
        return (latents + (self.sigmas[place + 1] - self.sigmas[place]) * velocity,)


def diffusers_standin() -> SimpleNamespace:
    """The classes as the library offers them."""
    return SimpleNamespace(
        AutoencoderKLWan=AutoencoderKLWan,
        CosmosControlNetModel=CosmosControlNetModel,
        CosmosTransformer3DModel=CosmosTransformer3DModel,
        UniPCMultistepScheduler=UniPCMultistepScheduler,
    )
