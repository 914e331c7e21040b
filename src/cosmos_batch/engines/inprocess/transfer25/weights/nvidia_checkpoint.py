"""The weights in one of NVIDIA's `.pt` files, by the names that diffusers gives them."""

from __future__ import annotations

from pathlib import Path

import torch

from cosmos_batch.engines.inprocess.gpu.parallel_reader import Place
from cosmos_batch.engines.inprocess.torch_files.archive import StoredTensor
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_file import read_nvidia_file
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart
from cosmos_batch.engines.inprocess.weight_files import StoredTensors
from cosmos_batch.errors import ModelError


class NvidiaCheckpoint(StoredTensors):
    """The tensors of the base network or of the branch in a `.pt` file, by diffusers' names."""

    def __init__(
        self,
        path: Path,
        part: NetworkPart,
        config: NetworkConfig,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: a published or post-trained file; see `nvidia_file`.
            part: whose tensors are wanted.
            config: the sizes that they must have.
            device: where tensors are placed; default: the CPU.
            dtype: the tensors' number format; default: as stored.

        Raises ModelError naming the tensors that are missing, unknown or of other sizes, and for a file that is
        damaged, of another network, or no file of weights.
        """
        file = read_nvidia_file(path)
        if problems := file.problems(part, config):
            raise ModelError("\n".join(problems))
        places = {
            name.diffusers: _place(path, file.stored[file.stored_names[name.nvidia]])
            for name in file.names(part, config)
        }
        super().__init__(places, device, dtype)


def _place(path: Path, stored: StoredTensor) -> Place:
    dtype: torch.dtype = getattr(torch, stored.dtype)
    return Place(path, stored.offset, dtype, tuple(stored.shape), tuple(stored.stride))
