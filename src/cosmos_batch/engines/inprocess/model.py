"""A loaded model: network, autoencoder, guardrail, and the latents of videos that were encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.family import Network
from cosmos_batch.engines.inprocess.gpu.host_device import memory_of, to_video
from cosmos_batch.engines.inprocess.guardrail import Guardrail
from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.text.lru_cache import FeatureCache
from cosmos_batch.engines.inprocess.vae.base import Vae

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

T = TypeVar("T")

_LATENT_SHARE = 80
"""One part in so many of the device's memory is for latents of videos that were encoded."""


class Model:
    """All parts of a model, ready to make videos."""

    def __init__(
        self,
        folders: ModelFolders,
        network: Network,
        vae: Vae,
        guardrail: Guardrail,
        dtype: torch.dtype,
        *,
        step_caching: bool = False,
    ) -> None:
        """Put the parts together.

        Args:
            folders: where its parts are.
            network: denoises.
            vae: computes where the network does.
            guardrail: checks prompts and videos.
            dtype: of videos that are encoded.
            step_caching: whether some steps are estimated; see `schedule.is_estimated`.
        """
        self.folders = folders
        self.network = network
        self.vae = vae
        self.guardrail = guardrail
        self.dtype = dtype
        self.step_caching = step_caching
        self._latents = FeatureCache[Tensor](memory_of(network.device) // _LATENT_SHARE)

    @property
    def device(self) -> torch.device:
        """The device of the latents."""
        return self.network.device

    @property
    def settings(self) -> ModelSettings:
        """The model's settings."""
        return self.folders.settings

    @property
    def controls(self) -> frozenset[str]:
        """The control branches that the model has."""
        return frozenset(self.folders.controls)

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the device that are free now or held by this process, the lesser of two; None: not on a GPU.

        Parts that are still to be loaded are taken off.
        """
        if self.device.type != "cuda":
            return None
        bytes_ = min(
            torch.cuda.mem_get_info(one)[0] + torch.cuda.memory_reserved(one) for one in self.network.devices
        )
        return max(0, bytes_ - self.network.pending_bytes)

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls and free all others. Raises ModelError if the model lacks one."""
        self.network.keep_only(controls)

    def forget(self) -> None:
        """Free what is kept of prompts, videos and small steps and can be computed again."""
        self._latents.clear()
        self.network.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def within_memory(self, work: Callable[[], T]) -> T:
        """Do some work; where memory does not suffice, free what can be computed again and repeat the work.

        Interrupted work must leave no partial results. Raises torch.OutOfMemoryError if that does not help.
        """
        with suppress(torch.OutOfMemoryError):
            return work()
        self.forget()
        return work()

    @torch.no_grad()
    def encode(self, frames: Frames, content: str) -> Tensor:
        """Normalised latents [1, C, T, H, W] of one chunk of frames; kept under a name of its content."""
        latents = self._latents.get(content)
        if latents is None:
            latents = self.latents_of(to_video(frames, self.device, self.dtype))
            self._latents.put(content, latents, latents.nelement() * latents.element_size())
        return latents

    @torch.no_grad()
    def latents_of(self, video: Tensor) -> Tensor:
        """Video [1, 3, F, height, width] in -1..1 -> normalised latents [1, C, T, H, W]."""
        self.network.rest()
        return self.within_memory(lambda: self.vae.encode(video.to(self.device, self.dtype)))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [1, C, T, H, W] -> video [1, 3, F, height, width] in -1..1, float32."""
        self.network.rest()
        return self.within_memory(lambda: self.vae.decode(latents.to(self.device)).float())
