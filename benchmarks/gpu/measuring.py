"""What the measurements on a GPU have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor


def seconds_of(call: Callable[[], object], repeats: int, warm: int = 1) -> list[float]:
    """Wall seconds of each of several calls, with the device idle before and after."""
    for _ in range(warm):
        call()
    taken = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begin)
    return taken


def error(found: Tensor, wanted: Tensor) -> float:
    """Relative, in the norm."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def versions() -> dict[str, str]:
    """What was measured on, and with what."""
    import diffusers

    kernel = "FlashAttention-3" if find_spec("fa3_fwd_interface") else "cuDNN"
    return {
        "card": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cudnn": str(torch.backends.cudnn.version()),
        "diffusers": diffusers.__version__,
        "attention": kernel,
    }
