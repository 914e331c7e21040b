"""Copies between the memory of the host and of a device, asynchronous where possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

_CPU_MEMORY = 80 << 30
"""Bytes that caches on the CPU take their share of."""


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to a device. The host does not wait for earlier work of a GPU."""
    if device.type != "cuda":
        return tensor.to(device)
    return (_pinned(tensor) if tensor.device.type == "cpu" else tensor).to(device, non_blocking=True)


def _pinned(tensor: Tensor) -> Tensor:
    """A pinned copy, which a GPU reads asynchronously; the tensor itself where the system pins no more memory."""
    try:
        return tensor.pin_memory()
    except RuntimeError:
        return tensor


def to_video(frames: Frames, device: torch.device, dtype: torch.dtype) -> Tensor:
    """uint8 frames [F, height, width, 3] -> [1, 3, F, height, width] in -1..1."""
    pixels = to_device(torch.from_numpy(np.ascontiguousarray(frames)), device)
    return pixels.permute(3, 0, 1, 2).unsqueeze(0).to(dtype) / 127.5 - 1


def to_frames(video: Tensor) -> Frames:
    """[1, 3, F, height, width] in -1..1 -> uint8 frames [F, height, width, 3]."""
    return PendingFrames(video).frames()


class PendingCopy:
    """A copy on the host of a tensor that a device may still be computing; `result` waits for it."""

    def __init__(self, tensor: Tensor) -> None:
        self._copy = tensor.detach().contiguous()
        self._copied: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            self._fetch()

    def result(self) -> Tensor:
        """The copy; of a tensor on the CPU itself."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._copy

    def _fetch(self) -> None:
        tensor = self._copy
        self._copy = _host_buffer(tensor)
        self._copy.copy_(tensor, non_blocking=True)
        self._copied = torch.cuda.Event(blocking=True)  # a thread that waits leaves the processor to others
        self._copied.record(torch.cuda.current_stream(tensor.device))


class PendingFrames:
    """Frames that a device may still be computing; `frames` waits for them."""

    def __init__(self, video: Tensor) -> None:
        """From [1, 3, F, height, width] in -1..1."""
        pixels = ((video[0].float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        self._pixels = PendingCopy(pixels.permute(1, 2, 3, 0))

    def frames(self) -> Frames:
        """uint8 [F, height, width, 3]."""
        return self._pixels.result().numpy()


def _host_buffer(tensor: Tensor) -> Tensor:
    """Memory for a copy on the host, pinned where the system pins so much; else the copy is synchronous."""
    try:
        return torch.empty_like(tensor, device="cpu", pin_memory=True)
    except RuntimeError:
        return torch.empty_like(tensor, device="cpu")


def memory_of(device: torch.device) -> int:
    """Total bytes of a device's memory; of the CPU, those of a common GPU."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _CPU_MEMORY
