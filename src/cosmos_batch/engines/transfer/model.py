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
from cosmos_batch.engines.transfer.guardrail import Guardrail
from cosmos_batch.engines.transfer.hub import ModelFolders
from cosmos_batch.engines.transfer.inputs import to_video
from cosmos_batch.engines.transfer.network import ControlBranch, Text, Transformer
from cosmos_batch.engines.transfer.settings import ModelSettings
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


def fill(network: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Make a network's weights these. Raises ModelError naming what does not fit."""
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
    ) -> None:
        self.folders = folders
        self.vae = vae
        self.guardrail = guardrail
        self.device = device
        self.dtype = dtype
        self._network_dtype = network_dtype
        self._text = text
        self._texts = FeatureCache[Text](max_bytes=4 << 30)
        self._latents = FeatureCache[Tensor](max_bytes=1 << 30)
        self.config = self._network_config()
        self.base = self._load(Transformer, folders.transformer)
        self._branches: dict[str, ControlBranch] = {}

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
        """Bytes of the device that are free now or held by this process; None: not on a GPU."""
        if self.device.type != "cuda":
            return None
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device)

    def branch(self, name: str) -> ControlBranch:
        """A control's branch, loaded if need be. Raises ModelError if the model has none of that name."""
        if name not in self._branches:
            if name not in self.folders.controls:
                have = ", ".join(sorted(self.folders.controls)) or "none"
                raise ModelError(f"{self.settings.name} has no branch for control {name!r}; it has {have}")
            self._branches[name] = self._load(ControlBranch, self.folders.controls[name])
        return self._branches[name]

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls, and free all others."""
        wanted = set(controls)
        self._branches = {name: branch for name, branch in self._branches.items() if name in wanted}
        for name in sorted(wanted):
            self.branch(name)

    @torch.no_grad()
    def read(self, network: str, prompt: str) -> Text:
        """A prompt's keys and values for "base" or a control's branch; one row."""
        key = f"{network}\0{prompt}"
        found = self._texts.get(key)
        if found is None:
            self._read_all(prompt)
            found = self._texts.get(key)
        if found is None:  # another branch than those loaded, or a prompt too large to keep
            found = self._read(network, self._text.encode(prompt))
        return found

    @torch.no_grad()
    def encode(self, frames: Frames) -> Tensor:
        """Normalised latents [1, C, T, H, W] of one chunk of frames, kept by content."""
        key = hashlib.blake2b(frames.tobytes() + repr(frames.shape).encode(), digest_size=16).hexdigest()
        latents = self._latents.get(key)
        if latents is None:
            latents = self.vae.encode(to_video(frames, self.device, self.dtype))
            self._latents.put(key, latents, latents.nelement() * latents.element_size())
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [1, C, T, H, W] -> video [1, 3, F, height, width] in -1..1, float32."""
        return self.vae.decode(latents.to(self.device)).float()

    def _read_all(self, prompt: str) -> None:
        """Encode a prompt once for every network in memory: features are large, and slow to make."""
        features = self._text.encode(prompt)
        for network in ("base", *self._branches):
            text = self._read(network, features)
            size = 2 * text.keys.nelement() * text.keys.element_size()
            self._texts.put(f"{network}\0{prompt}", text, size)

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

    def _load(self, kind: type[Network], folder: Path) -> Network:
        tensors = load_tensors(folder)
        with torch.device(
            "meta"
        ):  # else every weight would be drawn at random first, which takes longer than reading
            network = kind(self.config)
        convert = base_from_diffusers if isinstance(network, Transformer) else branch_from_diffusers
        fill(network, convert(tensors, self.config), folder)
        network.to(self.device, self._network_dtype).eval().requires_grad_(False)
        accelerate(network)
        return network
