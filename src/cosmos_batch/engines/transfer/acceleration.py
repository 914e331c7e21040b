"""Makes a loaded network fast on a GPU: compiled blocks, and the fastest exact attention that is installed.

One block is compiled for all shapes, and all blocks of base and branches share what comes of it. The first use on
a machine compiles; later processes find the kernels in a cache on disk.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch

from cosmos_batch.engines.transfer.attention import flash3_kernel
from cosmos_batch.engines.transfer.blocks import Block
from cosmos_batch.engines.transfer.network import Stem

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
    """Keep what is compiled in a folder, for later processes, unless the environment names one already."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def accelerate(network: Stem) -> None:
    """Make a network fast on the device on which its weights are. On the CPU it stays as it is."""
    weight = network.patch.weight
    kernel = flash3_kernel(weight.device, weight.dtype)
    if kernel is not None:
        for block in network.blocks:
            block.attention.kernel = kernel  # type: ignore[union-attr]
    if can_compile(weight.device):
        compile_blocks(network)


def compile_blocks(network: Stem, backend: str = "inductor") -> None:
    """Have every block of a network compiled at its first use."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    for block in network.blocks:
        assert isinstance(block, Block)
        block.compile(dynamic=True, fullgraph=True, backend=backend)
