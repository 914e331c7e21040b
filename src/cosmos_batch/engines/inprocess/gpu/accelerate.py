"""Makes a loaded network fast on a GPU: compiled blocks, and the fastest exact attention that is installed.

One block is compiled for all shapes, and all blocks of base and branches share what comes of it. The first use on
a machine compiles; later processes find the kernels in a cache on disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import torch

from cosmos_batch.engines.inprocess.gpu.attention import HOPPER, flash3_kernel
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.engines.inprocess.transfer25.blocks import Block
from cosmos_batch.engines.inprocess.transfer25.transformer import Stem
from cosmos_batch.errors import MissingExtraError, PlanError

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


def accelerate(network: Stem, approximations: Collection[Approximation] = ()) -> None:
    """Make a network fast on the device on which its weights are. On the CPU it stays as it is.

    Raises PlanError and MissingExtraError where attention in 8 bits is asked for and not possible.
    """
    weight = network.patch.weight
    float8 = Approximation.FLOAT8_ATTENTION in approximations
    kernel = flash3_kernel(weight.device, weight.dtype, float8=float8)
    if kernel is not None:
        for block in network.blocks:
            block.attention.kernel = kernel  # type: ignore[union-attr]
    elif float8:
        _refuse_float8(weight.device)
    if can_compile(weight.device):
        compile_blocks(network)


def _refuse_float8(device: torch.device) -> NoReturn:
    """Say what attention in 8 bits lacks: the GPU, or else the package."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) == HOPPER:
        raise MissingExtraError(f"--approximate {Approximation.FLOAT8_ATTENTION}", "hopper")
    raise PlanError(
        f"--approximate {Approximation.FLOAT8_ATTENTION} needs a Hopper GPU (H100, H200, GH200); "
        f"the model is on {device}"
    )


def compile_blocks(network: Stem, backend: str = "inductor") -> None:
    """Have every block of a network compiled at its first use."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    for block in network.blocks:
        assert isinstance(block, Block)
        block.compile(dynamic=True, fullgraph=True, backend=backend)
