"""A run's mid-denoise state on disk: enough to go on at the same step, and to know whose state it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.unipc import SolverState

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

_FORMAT = "1"


@dataclass(frozen=True, slots=True)
class SavedState:
    """Where a run stood."""

    chunk: int  # the chunk that is being denoised
    step: int  # steps done in it
    memory: SolverState  # of one sample, on the CPU
    frames: Frames  # of the chunks before it, as they go into the output
    tail: Tensor | None  # what conditions it: the last frames before it [1, 3, overlap, height, width], unrounded


def save_state(path: Path, state: SavedState, owner: str) -> None:
    """Write a state so that a reader sees the whole of it or nothing. `owner` says for which work it is valid."""
    memory = state.memory
    tensors = {
        "sample": memory.sample,
        "last": memory.last,
        "newer": memory.newer,
        "older": memory.older,
        "frames": torch.from_numpy(np.ascontiguousarray(state.frames)),
    }
    if state.tail is not None:
        tensors["tail"] = state.tail
    metadata = {"format": _FORMAT, "owner": owner, "chunk": str(state.chunk), "step": str(state.step)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_state(path: Path, owner: str) -> SavedState | None:
    """The state saved for `owner`; None if there is none, it is damaged, or it is for other work."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT or metadata.get("owner") != owner:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return None
    memory = SolverState(tensors["sample"], tensors["last"], tensors["newer"], tensors["older"])
    return SavedState(
        int(metadata["chunk"]), int(metadata["step"]), memory, tensors["frames"].numpy(), tensors.get("tail")
    )
