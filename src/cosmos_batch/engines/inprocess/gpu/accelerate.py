"""Accelerates a loaded network on a GPU by the fastest exact attention that is installed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NoReturn, Protocol

import torch
from torch import nn

from cosmos_batch.engines.inprocess.gpu.attention import HOPPER, Kernel, flash3_kernel
from cosmos_batch.engines.inprocess.options import Approximation
from cosmos_batch.errors import MissingExtraError, PlanError


class BlockNetwork(Protocol):
    """A network whose attention kernel can be chosen."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Its weights, all on one device and in one number format."""

    def use_attention(self, kernel: Kernel) -> None:
        """Compute self-attention by this kernel from now on."""


def accelerate(network: BlockNetwork, approximations: Collection[Approximation] = ()) -> None:
    """Accelerate a network on the device of its weights. On the CPU it stays as it is.

    Raises PlanError and MissingExtraError where attention in 8 bits is asked for and not possible.
    """
    weight = next(network.parameters())
    float8 = Approximation.FLOAT8_ATTENTION in approximations
    kernel = flash3_kernel(weight.device, weight.dtype, float8=float8)
    if kernel is not None:
        network.use_attention(kernel)
    elif float8:
        _refuse_float8(weight.device)


def _refuse_float8(device: torch.device) -> NoReturn:
    """Say what attention in 8 bits lacks: the GPU, or else the package."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) == HOPPER:
        raise MissingExtraError(f"--approximate {Approximation.FLOAT8_ATTENTION}", "hopper")
    raise PlanError(
        f"--approximate {Approximation.FLOAT8_ATTENTION} needs a Hopper GPU (H100, H200, GH200); "
        f"the model is on {device}"
    )
