"""Versions of the libraries that compute a video: with equal ones, equal devices give equal bits."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import torch


def versions(device: torch.device) -> dict[str, str]:
    """Versions of PyTorch, and on a GPU of CUDA, cuDNN and Triton."""
    found = {"torch": str(torch.__version__)}
    if device.type == "cuda":
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
        found |= {"triton": installed_version("triton")}
    return found


def installed_version(package: str) -> str:
    """The version of a package; "none" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
