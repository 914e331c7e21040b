"""The weights in one of NVIDIA's `.pt` files, by the names that diffusers gives them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.torch_files.archive import StoredTensor
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_file import read_nvidia_file
from cosmos_batch.engines.inprocess.transfer25.weights.nvidia_names import NetworkPart
from cosmos_batch.errors import ModelError


class NvidiaCheckpoint(Mapping[str, Tensor]):
    """The tensors of the base network or of the branch in a `.pt` file, by diffusers' names.

    The file is mapped into memory. A tensor is copied out of it when it is accessed, and not kept; its pages are
    given back then. So loading a network takes hardly more of the host's memory than the network itself.
    """

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
        self._stored = {
            name.diffusers: file.stored[file.stored_names[name.nvidia]] for name in file.names(part, config)
        }
        self._device = device or torch.device("cpu")
        self._dtype = dtype
        try:
            with path.open("rb") as handle:  # a private map: writable for PyTorch, and never written
                self._map = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as exc:
            raise ModelError(f"{path}: cannot be read ({exc.strerror or exc})") from exc

    def __getitem__(self, name: str) -> Tensor:
        stored = self._stored[name]
        copied = _view(self._map, stored).to(self._device, self._dtype, copy=True)
        begin = stored.offset // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, begin, stored.offset + stored.size - begin)
        return copied

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def _view(mapped: mmap.mmap, stored: StoredTensor) -> Tensor:
    """The tensor in the mapped file itself."""
    dtype: torch.dtype = getattr(torch, stored.dtype)
    flat = torch.frombuffer(mapped, dtype=dtype, count=stored.size // dtype.itemsize, offset=stored.offset)
    return flat.as_strided(stored.shape, stored.stride)
