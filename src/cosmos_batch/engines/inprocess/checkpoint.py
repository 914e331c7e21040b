"""Checkpoint of a run in the middle of denoising: a file from which it resumes at the same step."""

from __future__ import annotations

import os
from collections.abc import Collection
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
    """State of a run between two steps."""

    chunk: int  # index of the chunk that is denoised
    step: int  # steps done in it
    solver: SolverState  # of one sample, on the CPU
    frames: Frames  # of the finished chunks, as they are in the output
    tail: Tensor | None  # the last frames before the chunk [1, 3, overlap, height, width], unrounded


def save_state(path: Path, state: SavedState, owner: str) -> None:
    """Write a state atomically. `owner` identifies the run and weights that it is valid for."""
    solver = state.solver
    tensors = {
        "sample": solver.sample,
        "last": solver.last,
        "newer": solver.newer,
        "older": solver.older,
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


def load_state(path: Path, owners: Collection[str]) -> SavedState | None:
    """Read the state saved for one of `owners`; None if there is none, or it is damaged or has another owner."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT or metadata.get("owner") not in owners:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return None
    solver = SolverState(tensors["sample"], tensors["last"], tensors["newer"], tensors["older"])
    return SavedState(
        int(metadata["chunk"]), int(metadata["step"]), solver, tensors["frames"].numpy(), tensors.get("tail")
    )
