"""A whole run with the diffusers classes, from prompt and control videos to frames, as diffusers' pipeline.

That pipeline takes one control; here the outputs of several branches are added up, which it leaves to its callers.
Pixels are scaled to numbers and back on the device, which is faster than on the host, where that pipeline does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.inprocess.gpu.host_device import to_frames, to_video
from cosmos_batch.engines.inprocess.model_files import ModelFolders, resolve
from cosmos_batch.engines.inprocess.text.base import TextEncoder
from cosmos_batch.engines.inprocess.text.qwen import QwenEncoder
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise
from cosmos_batch.engines.inprocess.transfer25.published import PUBLISHED
from cosmos_batch.media.video import Frames

GUIDANCE = 3.0


@dataclass
class Networks:
    """The diffusers classes, used as its pipeline uses them."""

    base: nn.Module
    branches: Mapping[str, nn.Module]
    dtype: torch.dtype

    def velocity(
        self,
        latents: Tensor,
        sigma: float,
        texts: Sequence[Tensor],
        controls: Mapping[str, Tensor],
        weights: Mapping[str, float],
    ) -> Tensor:
        """Guided velocity [1, C, T, H, W], float32, by one pass after the other.

        Args:
            latents: noisy, [1, C, T, H, W].
            sigma: noise level, 0..1.
            texts: features of prompt and negative prompt, [L, text_dim] each.
            controls: latents of the control videos, like the noisy ones.
            weights: of the controls.
        """
        noisy = latents.to(self.dtype)
        guided, unguided = (self._forward(noisy, sigma, text, controls, weights).float() for text in texts)
        return guided + GUIDANCE * (guided - unguided)

    def _forward(
        self,
        latents: Tensor,
        sigma: float,
        text: Tensor,
        controls: Mapping[str, Tensor],
        weights: Mapping[str, float],
    ) -> Tensor:
        _, _, frames, height, width = latents.shape
        place: dict[str, Any] = {"device": latents.device, "dtype": self.dtype}
        config: Any = self.base.config
        image: tuple[int, int] = (config.img_context_num_tokens, config.img_context_dim_in)
        given: dict[str, Any] = {
            "timestep": torch.full((1, 1, frames, 1, 1), sigma, **place),
            "encoder_hidden_states": (text.to(self.dtype)[None], torch.zeros(1, *image, **place)),
            "condition_mask": torch.zeros((1, 1, frames, height, width), **place),
            "padding_mask": torch.zeros(1, 1, height * 8, width * 8, **place),
            "return_dict": False,
        }
        total: list[Tensor] | None = None
        for name, weight in weights.items():
            control = controls[name].to(self.dtype)
            parts = self.branches[name](
                controls_latents=control, latents=latents, conditioning_scale=weight, **given
            )[0]
            total = parts if total is None else [one + other for one, other in zip(total, parts, strict=True)]
        result: Tensor = self.base(hidden_states=latents, block_controlnet_hidden_states=total, **given)[0]
        return result


@dataclass(frozen=True)
class VideoTimes:
    """Seconds of the parts of one video, and its frames."""

    text: float
    encoding: float  # a video of zeros, and the control videos
    steps: tuple[float, ...]  # each of them
    decoding: float
    frames: Frames

    @property
    def step(self) -> float:
        """Median seconds of a denoising step."""
        return median(self.steps)

    @property
    def beside(self) -> float:
        """Seconds without the steps, of which each is counted as the median."""
        return self.text + self.encoding + sum(self.steps) + self.decoding - len(self.steps) * self.step


ReadText = Callable[[ModelFolders, torch.device, torch.dtype], TextEncoder]
"""Loads a model's text encoder."""


def read_qwen(files: ModelFolders, device: torch.device, dtype: torch.dtype) -> QwenEncoder:
    """Load the text encoder of the published model."""
    return QwenEncoder.load(files.tokenizer, files.text_encoder, device, dtype)


class Pipeline:
    """A model in the published layout, with the diffusers classes. Both sides use the same text encoder."""

    def __init__(
        self,
        model: Path,
        device: torch.device,
        read_text: ReadText = read_qwen,
        diffusers: Any = None,
    ) -> None:
        """`diffusers`: the library; imported unless given."""
        library = diffusers or import_module("diffusers")
        folders = resolve(str(model), TRANSFER_CONTROLS, PUBLISHED)
        self.device = device
        self._dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        base = self._load(library.CosmosTransformer3DModel, folders.transformer)
        branches = {
            name: self._load(library.CosmosControlNetModel, place) for name, place in folders.controls.items()
        }
        self._networks = Networks(base, branches, self._dtype)
        self._vae = self._load(library.AutoencoderKLWan, folders.vae)
        self._text = read_text(folders, device, self._dtype)
        self._scheduler = library.UniPCMultistepScheduler.from_pretrained(model / "scheduler")

    def _load(self, kind: Any, folder: Path) -> Any:
        before = torch.get_default_dtype()
        torch.set_default_dtype(self._dtype)
        try:
            with self.device:
                model = kind.from_config(kind.load_config(folder))
        finally:
            torch.set_default_dtype(before)
        for file in sorted(folder.glob("*.safetensors")):
            model.load_state_dict(load_file(file, device=str(self.device)))
        return model.eval().requires_grad_(False)

    @torch.no_grad()
    def warm_up(self, frames: Frames) -> None:
        """Use every kernel once for videos of this size: the autoencoder, and one pass of the networks."""
        self._decode(self._encode(frames[:9]))
        latents = self._encode(frames)
        self._networks.velocity(latents, 0.5, [self._text.encode("warm")] * 2, {"edge": latents}, {"edge": 1.0})
        self._synchronize()

    @torch.no_grad()
    def make(
        self,
        prompts: tuple[str, str],
        controls: Mapping[str, Frames],
        weights: Mapping[str, float],
        steps: int,
        seed: int,
    ) -> VideoTimes:
        """Make one video.

        Args:
            prompts: the prompt and the negative prompt.
            controls: control videos, uint8 [F, height, width, 3].
            weights: of the controls.
            steps: denoising steps.
            seed: of the noise, as our engine makes it.
        """
        clock = [self._now()]
        texts = [self._text.encode(prompt) for prompt in prompts]
        clock.append(self._now())
        self._encode(np.zeros_like(next(iter(controls.values()))))
        latents_of = {name: self._encode(frames) for name, frames in controls.items()}
        latents = noise(seed, 0, next(iter(latents_of.values())).shape[1:]).to(self.device)
        self._scheduler.set_timesteps(steps, device=self.device)
        clock.append(self._now())
        for index, time_step in enumerate(self._scheduler.timesteps):
            sigma = float(self._scheduler.sigmas[index])
            velocity = self._networks.velocity(latents, sigma, texts, latents_of, weights)
            latents = self._scheduler.step(velocity, time_step, latents, return_dict=False)[0]
            clock.append(self._now())
        frames = self._decode(latents)
        text, encoding, *taken, decoding = (end - begin for begin, end in pairwise([*clock, self._now()]))
        return VideoTimes(text, encoding, tuple(taken), decoding, frames)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        config = self._vae.config
        mean, std = (
            torch.tensor(values, device=self.device) for values in (config.latents_mean, config.latents_std)
        )
        return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)

    def _encode(self, frames: Frames) -> Tensor:
        mean, std = self._statistics()
        video = to_video(frames, self.device, self._dtype)
        latents: Tensor = self._vae.encode(video).latent_dist.mode()
        return (latents.float() - mean) / std

    def _decode(self, latents: Tensor) -> Frames:
        mean, std = self._statistics()
        return to_frames(self._vae.decode((latents.float() * std + mean).to(self._dtype)).sample)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _now(self) -> float:
        self._synchronize()
        return time.perf_counter()
