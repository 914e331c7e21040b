"""The base network and the control branches of a model, on one device."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.gpu.accelerate import accelerate
from cosmos_batch.engines.inprocess.gpu.attention import attention_name
from cosmos_batch.engines.inprocess.gpu.offload import ExclusiveResidency
from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.transfer25.block_ops import has_kernels
from cosmos_batch.engines.inprocess.transfer25.diffusers_weights import base_from_diffusers, branch_from_diffusers
from cosmos_batch.engines.inprocess.transfer25.transformer import ControlBranch, Transformer
from cosmos_batch.engines.inprocess.transfer25.weights.network_files import read_network_config
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_checkpoint import NvidiaCheckpoint
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart
from cosmos_batch.engines.inprocess.weight_files import StoredTensors, WeightFiles
from cosmos_batch.errors import ModelError

Network = TypeVar("Network", Transformer, ControlBranch)


def fill(network: nn.Module, state: dict[str, Tensor], place: Path) -> None:
    """Fill a network with weights. Raises ModelError naming what does not fit."""
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as exc:
        raise ModelError(f"{place}: weights that do not fit the configuration beside them: {exc}") from exc


class Networks:
    """Base network and branches. Branches load on first use and can be freed."""

    def __init__(
        self,
        folders: ModelFolders,
        device: torch.device,
        dtype: torch.dtype,
        *,
        approximations: Collection[Approximation] = (),
        offload_branches: bool = False,
    ) -> None:
        """
        Args:
            folders: where the weights lie.
            device: where they compute.
            dtype: in which they compute.
            approximations: attention in 8 bits is the one that applies here.
            offload_branches: whether branches are in the host's memory, but for the one that computes.

        Raises ModelError for weights that do not fit, PlanError and MissingExtraError as `accelerate` does.
        """
        self.device = device
        self.dtype = dtype
        self.config = read_network_config(folders.transformer, next(iter(folders.controls.values()), None))
        self._folders = folders
        self._approximations = approximations
        self.base = self._load(Transformer, folders.transformer)
        self._branches: dict[str, ControlBranch] = {}
        self._residency = ExclusiveResidency(device) if offload_branches else None

    @property
    def settings(self) -> ModelSettings:
        """The model's settings: how it is sampled, and how it reads noise levels."""
        return self._folders.settings

    @property
    def loaded(self) -> tuple[str, ...]:
        """The control branches that are in memory."""
        return tuple(sorted(self._branches))

    @property
    def arithmetic(self) -> dict[str, str]:
        """The kernels of attention and of the blocks, as a video's record names them."""
        kernels = "triton" if self.dtype == torch.bfloat16 and has_kernels(self.device) else "pytorch"
        return {"attention": attention_name(self.device, self.dtype), "kernels": kernels}

    @property
    def stay(self) -> bool:
        """Whether loaded weights stay in their places in memory."""
        return self._residency is None

    def branch(self, name: str) -> ControlBranch:
        """A control's branch, loaded if need be. Raises ModelError if the model has none of that name.

        Where branches are offloaded, it is on the device until the next one or another part of the model computes.
        """
        branch = self._branch(name)
        if self._residency:
            self._residency.take(name)
        return branch

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the branches of these controls, and free all others."""
        wanted = set(controls)
        self._branches = {name: branch for name, branch in self._branches.items() if name in wanted}
        if self._residency:
            self._residency.keep_only(wanted)
        for name in sorted(wanted):
            self._branch(name)

    def rest(self) -> None:
        """Free the device for another part of the model, where branches are offloaded."""
        if self._residency:
            self._residency.rest()

    def _branch(self, name: str) -> ControlBranch:
        if name not in self._branches:
            if name not in self._folders.controls:
                have = ", ".join(sorted(self._folders.controls)) or "none"
                raise ModelError(
                    f"{self._folders.settings.name} has no branch for control {name!r}; it has {have}"
                )
            self.rest()
            branch = self._load(ControlBranch, self._folders.controls[name])
            if self._residency:
                self._residency.add(name, branch)
            self._branches[name] = branch
        return self._branches[name]

    def _load(self, kind: type[Network], place: Path) -> Network:
        with torch.device("meta"):  # drawing random weights first would take long
            network = kind(self.config)
        convert = base_from_diffusers if kind is Transformer else branch_from_diffusers
        part = NetworkPart.BASE if kind is Transformer else NetworkPart.BRANCH
        weights = self._weights(part, place)
        fill(network, weights.apply(lambda tensors: convert(tensors, self.config)), place)
        network.to(self.device, self.dtype).eval().requires_grad_(False)
        accelerate(network, self._approximations)
        return network

    def _weights(self, part: NetworkPart, place: Path) -> StoredTensors:
        """The tensors of a network by diffusers' names, in a folder of safetensors files or in a `.pt` file."""
        if place.is_file():
            return NvidiaCheckpoint(place, part, self.config, self.device, self.dtype)
        return WeightFiles(place, self.device, self.dtype)
