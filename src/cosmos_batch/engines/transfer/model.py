"""A loaded model: the base network, its branches as they are needed, autoencoder, text, guardrail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from cosmos_batch.engines.transfer.acceleration import accelerate
from cosmos_batch.engines.transfer.config import NetworkConfig, from_diffusers
from cosmos_batch.engines.transfer.forward import Forward, Passes
from cosmos_batch.engines.transfer.guardrail import Guardrail
from cosmos_batch.engines.transfer.hub import ModelFolders
from cosmos_batch.engines.transfer.inputs import to_video
from cosmos_batch.engines.transfer.network import ControlBranch, Text, Transformer
from cosmos_batch.engines.transfer.parking import Turns
from cosmos_batch.engines.transfer.settings import ModelSettings
from cosmos_batch.engines.transfer.splitting import SplitForward, copied, mirrored
from cosmos_batch.engines.transfer.text.base import TextEncoder
from cosmos_batch.engines.transfer.text.cache import FeatureCache
from cosmos_batch.engines.transfer.vae.base import Vae
from cosmos_batch.engines.transfer.weights import (
    base_from_diffusers,
    branch_from_diffusers,
    load_tensors,
    read_config,
)
from cosmos_batch.errors import ModelError

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

Network = TypeVar("Network", Transformer, ControlBranch)

_TEXT_SHARE, _LATENT_SHARE = 20, 80
"""Of the device's memory, one part in so many is for prompts that were read, and for videos that were encoded."""

_MEMORY = 80 << 30
"""Bytes of which that is a part where the device is the CPU."""


def fill(network: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Give a network its weights. Raises ModelError naming what does not fit."""
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as exc:
        raise ModelError(f"{folder}: weights that do not fit the configuration beside them: {exc}") from exc


class Model:
    """All parts of a model on one device. Branches load on first use and can be dropped."""

    def __init__(
        self,
        folders: ModelFolders,
        *,
        vae: Vae,
        text: TextEncoder,
        guardrail: Guardrail,
        device: torch.device,
        dtype: torch.dtype,
        network_dtype: torch.dtype,
        second: torch.device | None = None,
        branches_wait: bool = False,
    ) -> None:
        """
        Args:
            folders: where its parts lie.
            vae: computes on `device`.
            text: gives features on any device.
            guardrail: checks prompts and videos.
            device: where the networks compute.
            dtype: of videos that are encoded.
            network_dtype: of the networks.
            second: where the unguided passes are done; None: with the guided ones, on `device`.
            branches_wait: whether branches are in the host's memory, but for the one at work.
        """
        self.folders = folders
        self.vae = vae
        self.guardrail = guardrail
        self.device = device
        self.dtype = dtype
        self._network_dtype = network_dtype
        self._text = text
        self._texts = FeatureCache[Text](_memory(device) // _TEXT_SHARE)
        self._latents = FeatureCache[Tensor](_memory(device) // _LATENT_SHARE)
        self.config = self._network_config()
        self.base = self._load(Transformer, folders.transformer)
        self._branches: dict[str, ControlBranch] = {}
        self._turns = Turns(device) if branches_wait else None
        self._second = second
        self._second_base = copied(self.base, second) if second else None

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
        return tuple(sorted(self._branches))

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of the device that are free now or held by this process, the lesser of two; None: not on a GPU."""
        if self.device.type != "cuda":
            return None
        devices = (self.device, self._second) if self._second else (self.device,)
        return min(torch.cuda.mem_get_info(one)[0] + torch.cuda.memory_reserved(one) for one in devices)

    def branch(self, name: str) -> ControlBranch:
        """A control's branch, loaded if need be. Raises ModelError if the model has none of that name.

        Where branches wait, it is on the device until the next one is asked for, or something else is at work.
        """
        branch = self._loaded_branch(name)
        if self._turns:
            self._turns.take(name)
        return branch

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls, and free all others."""
        wanted = set(controls)
        self._branches = {name: branch for name, branch in self._branches.items() if name in wanted}
        if self._turns:
            self._turns.keep_only(wanted)
        for name in sorted(wanted):
            self._loaded_branch(name)

    def passes(self) -> Passes:
        """The network's pass over a batch, valid until branches are freed."""
        own = Forward(self.base, self.branch, self.read, self.device, record=self._turns is None)
        if self._second is None or self._second_base is None:
            return own
        return SplitForward(own, mirrored(self._second_base, self.branch, self.read, self._second))

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
    def encode(self, frames: Frames) -> Tensor:
        """Normalised latents [1, C, T, H, W] of one chunk of frames, kept by content."""
        key = hashlib.blake2b(frames.tobytes() + repr(frames.shape).encode(), digest_size=16).hexdigest()
        latents = self._latents.get(key)
        if latents is None:
            latents = self.latents_of(to_video(frames, self.device, self.dtype))
            self._latents.put(key, latents, latents.nelement() * latents.element_size())
        return latents

    @torch.no_grad()
    def latents_of(self, video: Tensor) -> Tensor:
        """Video [1, 3, F, height, width] in -1..1 -> normalised latents [1, C, T, H, W]."""
        self._rest_branches()
        return self.vae.encode(video.to(self.device, self.dtype))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [1, C, T, H, W] -> video [1, 3, F, height, width] in -1..1, float32."""
        self._rest_branches()
        return self.vae.decode(latents.to(self.device)).float()

    def _read_all(self, prompt: str) -> None:
        """Encode a prompt once for every network in memory: features are large, and slow to make."""
        features = self._features(prompt)
        for network in ("base", *self._branches):
            text = self._read(network, features)
            size = 2 * text.keys.nelement() * text.keys.element_size()
            self._texts.put(f"{network}\0{prompt}", text, size)

    def _features(self, prompt: str) -> Tensor:
        self._rest_branches()
        return self._text.encode(prompt)

    def _read(self, network: str, features: Tensor) -> Text:
        stem = self.base if network == "base" else self.branch(network)
        return stem.read(features.to(self.device, self._network_dtype).unsqueeze(0))

    def _network_config(self) -> NetworkConfig:
        folder = next(iter(self.folders.controls.values()), None)
        control = read_config(folder) if folder else None
        try:
            return from_diffusers(read_config(self.folders.transformer), control)
        except KeyError as exc:
            raise ModelError(f"{self.folders.transformer}/config.json: no field {exc}") from exc

    def _loaded_branch(self, name: str) -> ControlBranch:
        if name not in self._branches:
            if name not in self.folders.controls:
                have = ", ".join(sorted(self.folders.controls)) or "none"
                raise ModelError(f"{self.settings.name} has no branch for control {name!r}; it has {have}")
            self._rest_branches()
            branch = self._load(ControlBranch, self.folders.controls[name])
            if self._turns:
                self._turns.park(name, branch)
            self._branches[name] = branch
        return self._branches[name]

    def _rest_branches(self) -> None:
        """Leave the device to another part of the model, where branches wait."""
        if self._turns:
            self._turns.rest()

    def _load(self, kind: type[Network], folder: Path) -> Network:
        with torch.device("meta"):  # filled at once: weights that are drawn at random first would take long
            network = kind(self.config)
        convert = base_from_diffusers if kind is Transformer else branch_from_diffusers
        fill(network, convert(load_tensors(folder), self.config), folder)
        network.to(self.device, self._network_dtype).eval().requires_grad_(False)
        accelerate(network)
        return network


def _memory(device: torch.device) -> int:
    """Bytes of a device's memory, whoever holds them."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _MEMORY
