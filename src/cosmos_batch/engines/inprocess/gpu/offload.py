"""Modules whose weights are in the host's memory, and on the device only while they compute."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain

import torch
from torch import Tensor, nn

_ALIGNED = 256
"""Bytes to a multiple of which every tensor begins in a block of the host's memory."""


class OffloadedModule:
    """A module whose weights are in the host's memory, and are copied to the device when it computes.

    Weights never change, so the copy on the device is dropped, not copied back. The module's parameters stay the
    same objects, and only their data changes, so compiled code stays valid.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        """Move the module into the host's memory."""
        self._device = device
        self._tensors = [*module.parameters(), *module.buffers()]
        self._host_copies = _copied_to_host(
            [tensor.data for tensor in self._tensors], pinned=device.type == "cuda"
        )
        self._resident = False
        self.release()

    @property
    def resident(self) -> bool:
        """Whether the weights are on the device."""
        return self._resident

    def bring(self) -> None:
        """Copy the weights to the device. If its memory does not suffice, they stay in the host's."""
        copies = [copy.to(self._device, non_blocking=True, copy=True) for copy in self._host_copies]
        self._place(copies)
        self._resident = True

    def release(self) -> None:
        """Free the weights on the device."""
        self._place(self._host_copies)
        self._resident = False

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Keep the weights on the device within the context."""
        self.bring()
        try:
            yield
        finally:
            self.release()

    def _place(self, data: Sequence[Tensor]) -> None:
        for tensor, there in zip(self._tensors, data, strict=True):
            tensor.data = there


class ExclusiveResidency:
    """Offloaded modules of which at most one is on the device at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._modules: dict[str, OffloadedModule] = {}
        self._resident_name: str | None = None

    def add(self, name: str, module: nn.Module) -> None:
        """Offload a module, and manage it under a name."""
        self._modules[name] = OffloadedModule(module, self._device)

    def take(self, name: str) -> None:
        """Bring this module to the device, and no other."""
        if self._resident_name != name:
            self.rest()
            self._modules[name].bring()
            self._resident_name = name

    def rest(self) -> None:
        """Free the device of all modules."""
        if self._resident_name is not None:
            self._modules[self._resident_name].release()
            self._resident_name = None

    def keep_only(self, names: Collection[str]) -> None:
        """Drop all other modules, and free the device."""
        self.rest()
        self._modules = {name: module for name, module in self._modules.items() if name in names}


def in_stages(module: nn.Module, device: torch.device) -> nn.Module:
    """Offload a module so that its children are on the device one after the other, those in a list one by one.

    For a module that is larger than the device's memory. It must not have parameters of its own.
    """
    for stage in chain.from_iterable(map(_stages, module.children())):
        offloaded = OffloadedModule(stage, device)
        stage.register_forward_pre_hook(lambda *_, offloaded=offloaded: offloaded.bring())
        stage.register_forward_hook(lambda *_, offloaded=offloaded: offloaded.release(), always_call=True)
    return module


def _stages(child: nn.Module) -> Iterator[nn.Module]:
    if isinstance(child, nn.ModuleList):
        yield from child
    else:
        yield child


def _copied_to_host(tensors: Sequence[Tensor], *, pinned: bool) -> list[Tensor]:
    """Copies in one block of the host's memory: PyTorch rounds every block that it pins up to a power of two."""
    sizes = [-(-tensor.nbytes // _ALIGNED) * _ALIGNED for tensor in tensors]
    begins = list(accumulate(sizes, initial=0))
    block = _block(begins[-1], pinned)
    copies = []
    for begin, tensor in zip(begins, tensors, strict=False):  # the last one is the end of the block
        place = block[begin : begin + tensor.nbytes].view(tensor.dtype)
        copies.append(place.as_strided(tensor.size(), tensor.stride()).copy_(tensor))
    return copies


def _block(size: int, pinned: bool) -> Tensor:
    """A block of bytes, pinned where that is wanted and possible: copies to a GPU are several times as fast."""
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
    except RuntimeError:  # the system bounds what may be pinned
        return torch.empty(size, dtype=torch.uint8)
