"""A loaded model: the base network, its branches as they are needed, autoencoder, text, guardrail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.guardrail import Guardrail
from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.sampling.cfg_parallel import SplitForward
from cosmos_batch.engines.inprocess.text.base import TextEncoder
from cosmos_batch.engines.inprocess.text.lru_cache import FeatureCache
from cosmos_batch.engines.inprocess.transfer25.branches import Networks
from cosmos_batch.engines.inprocess.transfer25.conditioning import to_video
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.forward import Forward, Passes
from cosmos_batch.engines.inprocess.transfer25.transformer import Text, Transformer
from cosmos_batch.engines.inprocess.vae.base import Vae

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

Made = TypeVar("Made")

_TEXT_SHARE, _LATENT_SHARE = 20, 80
"""Of the device's memory, one part in so many is for prompts that were read, and for videos that were encoded."""

_MEMORY = 80 << 30
"""Bytes of which that is a part where the device is the CPU."""


class Model:
    """All parts of a model, ready to make videos."""

    def __init__(
        self,
        folders: ModelFolders,
        networks: Networks,
        *,
        vae: Vae,
        text: TextEncoder,
        guardrail: Guardrail,
        dtype: torch.dtype,
        second: Networks | None = None,
        step_caching: bool = False,
    ) -> None:
        """
        Args:
            folders: where its parts lie.
            networks: what denoises.
            vae: computes where the networks do.
            text: gives features on any device.
            guardrail: checks prompts and videos.
            dtype: of videos that are encoded.
            second: does the unguided passes, on its own device; None: all are done by `networks`.
            step_caching: whether some steps are estimated; see `schedule.is_estimated`.
        """
        self.folders = folders
        self.vae = vae
        self.guardrail = guardrail
        self.device = networks.device
        self.dtype = dtype
        self.step_caching = step_caching
        self._networks = networks
        self._second = second
        self._passes: Passes | None = None
        self._text = text
        self._texts = FeatureCache[Text](_memory(self.device) // _TEXT_SHARE)
        self._latents = FeatureCache[Tensor](_memory(self.device) // _LATENT_SHARE)

    @property
    def base(self) -> Transformer:
        """The base network."""
        return self._networks.base

    @property
    def config(self) -> NetworkConfig:
        """The networks' sizes."""
        return self._networks.config

    @property
    def settings(self) -> ModelSettings:
        """What the model says of itself."""
        return self.folders.settings

    @property
    def controls(self) -> frozenset[str]:
        """The control branches that the model has."""
        return frozenset(self.folders.controls)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The control branches that are in memory."""
        return self._networks.loaded

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the device that are free now or held by this process, the lesser of two; None: not on a GPU."""
        if self.device.type != "cuda":
            return None
        devices = (self.device, self._second.device) if self._second else (self.device,)
        return min(torch.cuda.mem_get_info(one)[0] + torch.cuda.memory_reserved(one) for one in devices)

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls, and free all others. Raises ModelError if the model lacks one."""
        wanted = set(controls)
        if not wanted.issuperset(self.loaded):
            self._passes = None  # small steps are recorded with the weights' places in memory
        for networks in filter(None, (self._networks, self._second)):
            networks.keep_only(wanted)

    def forget(self) -> None:
        """Free what is kept of prompts, videos and small steps, which can be made anew."""
        self._texts.clear()
        self._latents.clear()
        if self._passes is not None:
            self._passes.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def within_memory(self, work: Callable[[], Made]) -> Made:
        """Do some work; where memory does not suffice, once more without what can be made anew.

        The work must leave nothing half done. Raises torch.OutOfMemoryError where there still is too little.
        """
        with suppress(torch.OutOfMemoryError):
            return work()
        self.forget()
        return work()

    def passes(self) -> Passes:
        """The network's pass over a batch, valid until branches are freed."""
        if self._passes is None:
            self._passes = self._new_passes()
        return self._passes

    def _new_passes(self) -> Passes:
        own = self._networks
        forward = Forward(own.base, own.branch, self.read, own.device, record=own.stay)
        if self._second is None:
            return forward
        there = self._second

        def read(network: str, prompt: str) -> Text:
            return self.read(network, prompt).to(there.device)

        return SplitForward(forward, Forward(there.base, there.branch, read, there.device, record=there.stay))

    @torch.no_grad()
    def read(self, network: str, prompt: str) -> Text:
        """A prompt's keys and values for "base" or a control's branch; one row."""
        key = f"{network}\0{prompt}"
        found = self._texts.get(key)
        if found is None:
            self._read_all(prompt)
            found = self._texts.get(key)
        if found is None:  # another branch than those loaded, or a prompt too large to keep
            found = self._read(network, self._features(prompt))
        return found

    @torch.no_grad()
    def encode(self, frames: Frames, content: str) -> Tensor:
        """Normalised latents [1, C, T, H, W] of one chunk of frames; they are kept under what says its content."""
        latents = self._latents.get(content)
        if latents is None:
            latents = self.latents_of(to_video(frames, self.device, self.dtype))
            self._latents.put(content, latents, latents.nelement() * latents.element_size())
        return latents

    @torch.no_grad()
    def latents_of(self, video: Tensor) -> Tensor:
        """Video [1, 3, F, height, width] in -1..1 -> normalised latents [1, C, T, H, W]."""
        self._networks.rest()
        return self.within_memory(lambda: self.vae.encode(video.to(self.device, self.dtype)))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [1, C, T, H, W] -> video [1, 3, F, height, width] in -1..1, float32."""
        self._networks.rest()
        return self.within_memory(lambda: self.vae.decode(latents.to(self.device)).float())

    def _read_all(self, prompt: str) -> None:
        """Encode a prompt once for every network in memory: features are large, and slow to make."""
        features = self._features(prompt)
        for network in ("base", *self._networks.loaded):
            text = self._read(network, features)
            size = 2 * text.keys.nelement() * text.keys.element_size()
            self._texts.put(f"{network}\0{prompt}", text, size)

    def _features(self, prompt: str) -> Tensor:
        self._networks.rest()
        return self._text.encode(prompt)

    def _read(self, network: str, features: Tensor) -> Text:
        stem = self.base if network == "base" else self._networks.branch(network)
        return stem.read(features.to(self.device, self._networks.dtype).unsqueeze(0))


def _memory(device: torch.device) -> int:
    """Bytes of a device's memory, whoever holds them."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _MEMORY
