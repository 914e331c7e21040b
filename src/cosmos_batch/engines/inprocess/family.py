"""The protocol of a model family: everything that the in-process engine does not know of a model by itself.

A family is a folder beside this file and an entry of `families.FAMILIES`. `ModelFamily` is used for planning, too:
its module imports no PyTorch until `load` is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from cosmos_batch.engines.inprocess.model_files import ModelFolders, PublishedModel
    from cosmos_batch.engines.inprocess.model_settings import ModelSettings
    from cosmos_batch.engines.inprocess.options import Options
    from cosmos_batch.engines.inprocess.sampling.samples import Conditioning, Passes
    from cosmos_batch.engines.inprocess.text.base import TextEncoder
    from cosmos_batch.engines.inprocess.text.context_store import ContextStore
    from cosmos_batch.planning.traits import Traits
    from cosmos_batch.run import ResolvedSampling


@dataclass(frozen=True, slots=True)
class ChunkControl:
    """One control of a chunk."""

    latents: Tensor  # [1, C, T, H, W], of the control video
    weight: float  # as the run gives it
    mask: NDArray[np.float32] | None = None  # [F, height, width] in 0..1, of the chunk's frames; None: everywhere


@dataclass(frozen=True, slots=True)
class ChunkSource:
    """Guided generation of a chunk."""

    latents: Tensor  # [1, C, T, H, W], of the input video
    mask: NDArray[np.float32]  # [F, height, width] in 0..1, of the chunk's frames
    step_threshold: int  # the last step that reads them, from 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a run: what a family computes its conditioning from."""

    prompt: str
    sampling: ResolvedSampling
    controls: Mapping[str, ChunkControl]
    index: int  # of the chunk in its run
    shape: tuple[int, int, int, int]  # of its latents: channels, frames, height, width
    spatial: int  # pixels of a latent pixel, each way
    temporal: int  # frames of each latent frame but the first
    before: Tensor | None = None  # [1, C, t, H, W]: latents of the frames that it shares with the chunk before
    source: ChunkSource | None = None  # guided generation


class Network(Protocol):
    """A family's network with its weights, text memory included."""

    @property
    def device(self) -> torch.device:
        """The device of the latents."""

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """All devices that hold a copy of the network."""

    @property
    def pending_bytes(self) -> int:
        """Bytes of the device's memory that parts take which are loaded at their first use."""

    @property
    def arithmetic(self) -> Mapping[str, str]:
        """Choices that change the bits of a video: kernels of attention and of the blocks."""

    @property
    def loaded(self) -> tuple[str, ...]:
        """Controls that have weights of their own, and whose weights are in memory."""

    def keep_only(self, controls: Iterable[str]) -> None:
        """Load the weights of these controls and free all others. Raises ModelError if the model lacks one."""

    def rest(self) -> None:
        """Leave the device's memory to another part of the model, where weights are offloaded."""

    def forget(self) -> None:
        """Free what is kept of prompts and small steps and can be computed again."""

    def read_prompt(self, prompt: str) -> None:
        """Compute and keep what the network reads of a prompt."""

    def tokens(self, frames: int, height: int, width: int) -> int:
        """Tokens of latents of that size."""

    def conditioning(self, chunk: Chunk) -> Conditioning:
        """Compute what a chunk is denoised from."""

    def passes(self) -> Passes:
        """The network's pass over a batch, valid until weights are freed."""


class ModelFamily(Protocol):
    """A kind of models: architecture, files, settings, traits and cost."""

    @property
    def name(self) -> str:
        """The engine's name in a video's record."""

    @property
    def network_class(self) -> str:
        """`_class_name` in `transformer/config.json` of such a model."""

    @property
    def models(self) -> tuple[PublishedModel, ...]:
        """The family's published models; a folder that does not say which one it is like is like the first."""

    def traits(self, settings: ModelSettings, controls: frozenset[str]) -> Traits:
        """A model as the planner sees it, with the controls that it has."""

    def load(
        self,
        folders: ModelFolders,
        text: TextEncoder,
        devices: tuple[torch.device, ...],
        dtype: torch.dtype,
        options: Options,
        contexts: ContextStore | None = None,
    ) -> Network:
        """Load the network.

        Args:
            folders: where the weights are.
            text: gives features of prompts, on any device.
            devices: one; or two, of which the second computes the unguided passes.
            dtype: number format of the weights.
            options: offloading and approximations.
            contexts: keeps what the network makes of prompts between processes; None: nothing is kept.

        Raises ModelError for weights that do not fit; PlanError and MissingExtraError where options are not
        possible here.
        """
