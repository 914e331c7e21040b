"""Timing, errors and versions for the GPU benchmarks. Without a CUDA device the functions measure the CPU."""

from __future__ import annotations

import gc
import importlib.metadata
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

COMMAND = (sys.executable, "-c", "from cosmos_batch.cli.app import main; main()")
"""The `cosmos-batch` command of this interpreter."""


def synchronize() -> None:
    """Wait until the CUDA device is idle."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], object], repeats: int, warm: int = 1) -> list[float]:
    """Wall seconds of each of several calls, with the device idle before and after.

    `warm`: calls made before that are not counted.
    """
    for _ in range(warm):
        call()
    taken = []
    for _ in range(repeats):
        synchronize()
        begin = time.perf_counter()
        call()
        synchronize()
        taken.append(time.perf_counter() - begin)
    return taken


def reset_peak() -> None:
    """Count the device's peak memory from now on."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """Peak of the device's memory since `reset_peak`; 0 on the CPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def added_peak_bytes(call: Callable[[], object]) -> int:
    """Bytes of the device's memory that a call needs beyond what is allocated before it; 0 on the CPU."""
    free_memory()
    reset_peak()
    before = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    call()
    synchronize()
    return peak_bytes() - before


def free_memory() -> None:
    """Return the memory of dropped tensors to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def error(found: Tensor, wanted: Tensor) -> float:
    """Relative error in the norm, computed on the host in float64."""
    exact = wanted.cpu().double()
    return float((found.cpu().double() - exact).norm() / exact.norm())


def versions() -> dict[str, str]:
    """The card, and the versions of the libraries."""
    try:
        diffusers = importlib.metadata.version("diffusers")
    except importlib.metadata.PackageNotFoundError:
        diffusers = "not installed"
    return {
        "card": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "torch": torch.__version__,
        "cudnn": str(torch.backends.cudnn.version()),
        "diffusers": diffusers,
        "attention": "FlashAttention-3" if find_spec("fa3_fwd") else "cuDNN",
    }
