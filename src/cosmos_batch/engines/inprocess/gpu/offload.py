"""Modules that wait in the host's memory and are on the device only while they work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain

import torch
from torch import Tensor, nn

_ALIGNED = 256
"""Bytes to a multiple of which every tensor begins in a block of the host's memory."""


class OffloadedModule:
    """A module with its weights in the host's memory, from where they are copied to the device when it is to work.

    Weights never change, so nothing is copied back: what is on the device is dropped. The module's parameters stay
    the same objects throughout, and only their data changes: what is compiled for them stays valid.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        """The module is in the host's memory from now on, wherever it was."""
        self._device = device
        self._tensors = [*module.parameters(), *module.buffers()]
        self._homes = _at_home([tensor.data for tensor in self._tensors], pinned=device.type == "cuda")
        self._resident = False
        self.release()

    @property
    def resident(self) -> bool:
        """Whether the weights are on the device."""
        return self._resident

    def bring(self) -> None:
        """Have the weights on the device. If its memory does not suffice, they stay where they are."""
        copies = [home.to(self._device, non_blocking=True, copy=True) for home in self._homes]
        self._place(copies)
        self._resident = True

    def release(self) -> None:
        """Leave the device's memory to others."""
        self._place(self._homes)
        self._resident = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """On the device within, and not after."""
        self.bring()
        try:
            yield
        finally:
            self.release()

    def _place(self, data: Sequence[Tensor]) -> None:
        for tensor, there in zip(self._tensors, data, strict=True):
            tensor.data = there


class ExclusiveResidency:
    """Modules of which no two are on the device at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._parked: dict[str, OffloadedModule] = {}
        self._present: str | None = None

    def park(self, name: str, module: nn.Module) -> None:
        """Take a module in; it waits from now on."""
        self._parked[name] = OffloadedModule(module, self._device)

    def take(self, name: str) -> None:
        """Have this one on the device, and no other."""
        if self._present != name:
            self.rest()
            self._parked[name].bring()
            self._present = name

    def rest(self) -> None:
        """Have none on the device."""
        if self._present is not None:
            self._parked[self._present].release()
            self._present = None

    def keep_only(self, names: Collection[str]) -> None:
        """Forget all others, and have none on the device."""
        self.rest()
        self._parked = {name: parked for name, parked in self._parked.items() if name in names}


def in_stages(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with its children at work on the device one after the other, those in a list one by one.

    For a module that is larger than the device's memory. It must not have parameters of its own.
    """
    for stage in chain.from_iterable(map(_stages, module.children())):
        parked = OffloadedModule(stage, device)
        stage.register_forward_pre_hook(lambda *_, parked=parked: parked.bring())
        stage.register_forward_hook(lambda *_, parked=parked: parked.release(), always_call=True)
    return module


def _stages(child: nn.Module) -> Iterator[nn.Module]:
    if isinstance(child, nn.ModuleList):
        yield from child
    else:
        yield child


def _at_home(tensors: Sequence[Tensor], *, pinned: bool) -> list[Tensor]:
    """Copies in one block of the host's memory: PyTorch rounds every block that it pins up to a power of two."""
    sizes = [-(-tensor.nbytes // _ALIGNED) * _ALIGNED for tensor in tensors]
    begins = list(accumulate(sizes, initial=0))
    block = _block(begins[-1], pinned)
    homes = []
    for begin, tensor in zip(begins, tensors, strict=False):  # the last is where the block ends
        place = block[begin : begin + tensor.nbytes].view(tensor.dtype)
        homes.append(place.as_strided(tensor.size(), tensor.stride()).copy_(tensor))
    return homes


def _block(size: int, pinned: bool) -> Tensor:
    """So many bytes, pinned where that is wanted and the host can: copies to a GPU are several times as fast."""
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
    except RuntimeError:  # the system bounds what may be pinned
        return torch.empty(size, dtype=torch.uint8)
