"""The compiler of GPU kernels: whether it works here, and where its results are kept.

A kernel is compiled at its first use on a machine, for all sizes; later processes find it in a folder on disk.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch

CACHE_VARIABLE = "TRITON_CACHE_DIR"
"""Environment variable that names the folder of Triton's compiled kernels."""


def can_compile(device: torch.device) -> bool:
    """Whether kernels can be compiled for a device: it needs Triton and a C compiler."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    return (
        device.type == "cuda"
        and find_spec("triton") is not None
        and any(map(shutil.which, filter(None, compilers)))
    )


def keep_compiled(folder: Path) -> None:
    """Keep compiled kernels in a folder, for later processes, unless the environment names one already."""
    os.environ.setdefault(CACHE_VARIABLE, str(folder))
