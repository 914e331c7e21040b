"""torch.compile: whether it works here, where its kernels are kept, and how a network's blocks are compiled.

One block is compiled for all shapes, and all blocks of one architecture share the kernels. The first use on a
machine compiles; later processes find the kernels in a cache on disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

_VARIANTS = 64
"""How many variants of a block may be compiled: one or more samples, with and without a mask, and so on."""


def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` has what it needs for a device: Triton and a C compiler."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    return (
        device.type == "cuda"
        and find_spec("triton") is not None
        and any(map(shutil.which, filter(None, compilers)))
    )


def keep_compiled(folder: Path) -> None:
    """Keep compiled kernels in a folder, for later processes, unless the environment names one already."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def compile_blocks(blocks: Iterable[nn.Module], backend: str = "inductor") -> None:
    """Compile every block of a network at its first use."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    for block in blocks:
        block.compile(dynamic=True, fullgraph=True, backend=backend)
