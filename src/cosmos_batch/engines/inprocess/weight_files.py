"""Weights of a component: safetensors files in a folder, and modules that are filled from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cosmos_batch.errors import ModelError

Module = TypeVar("Module", bound=nn.Module)


class WeightFiles(Mapping[str, Tensor]):
    """The tensors of a folder's safetensors files. Each is read when it is accessed, and not kept.

    So loading a network onto a device takes hardly more of its memory than the network itself.
    """

    def __init__(self, folder: Path, device: torch.device | None = None, dtype: torch.dtype | None = None) -> None:
        """Open the files.

        Args:
            folder: holds the files.
            device: where tensors are placed; default: the CPU.
            dtype: the tensors' number format; default: as stored.

        Raises ModelError where there is no file, or one is damaged.
        """
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelError(
                f"{folder}: no .safetensors file; the weights of a diffusers folder layout belong here"
            )
        self._dtype = dtype
        self._files: dict[str, Any] = {}  # by the names of their tensors
        for file in files:
            try:
                opened: Any = safe_open(file, framework="pt", device=str(device or "cpu"))
            except (SafetensorError, OSError) as exc:
                raise ModelError(f"{file}: not a readable safetensors file ({exc})") from exc
            self._files |= dict.fromkeys(opened.keys(), opened)

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor if self._dtype is None else tensor.to(self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def load_weights(module: Module, folder: Path) -> Module:
    """Fill a module from a folder, and set it to inference. Raises ModelError where the weights do not fit."""
    try:
        module.load_state_dict(WeightFiles(folder))
    except RuntimeError as exc:
        raise ModelError(f"{folder}: the weights do not fit config.json ({exc})") from exc
    return module.eval()
