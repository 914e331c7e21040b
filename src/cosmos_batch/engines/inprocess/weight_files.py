"""Weights of a component: safetensors files in a folder, and modules that are filled from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.gpu.parallel_reader import ParallelReader, Place
from cosmos_batch.errors import ModelError

Module = TypeVar("Module", bound=nn.Module)

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
"""Number formats by their names in a safetensors file."""


class StoredTensors(Mapping[str, Tensor]):
    """Tensors in files, by name. Each is read when it is accessed, and not kept.

    So loading a network onto a device takes hardly more memory than the network itself.
    """

    def __init__(
        self, places: Mapping[str, Place], device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        """
        Args:
            places: where the tensors are stored, by name.
            device: where tensors are placed; default: the CPU.
            dtype: the tensors' number format; default: as stored.
        """
        self._places = places
        self._device = device or torch.device("cpu")
        self._dtype = dtype
        self._reader: ParallelReader | None = None

    def apply(self, function: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The result of a function of these tensors, which are read in parallel, in the order of their use.

        The function is called twice: first with placeholders, which shows what it uses. Of these it may read the
        shape, and give them to functions of PyTorch and to the methods and operators of tensors.
        Raises ModelError where a file cannot be read.
        """
        shown = _Access(self._places)
        function(shown)
        with self._reading([self._places[name] for name in shown.names]):
            return function(self)

    def __getitem__(self, name: str) -> Tensor:
        place = self._places[name]
        if self._reader is None:
            with self._reading([place]):
                return self[name]
        tensor = self._reader.take(place)
        return tensor if self._dtype is None else tensor.to(self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def _reading(self, order: Sequence[Place]) -> Iterator[None]:
        """Read these tensors within the context. Raises ModelError where a file cannot be read."""
        files = ", ".join(sorted({str(place.file) for place in order}))
        try:
            with closing(ParallelReader(order, self._device)) as self._reader:
                yield
        except OSError as exc:
            raise ModelError(f"{files}: the weights cannot be read ({exc.strerror or exc})") from exc
        finally:
            self._reader = None


class WeightFiles(StoredTensors):
    """The tensors of a folder's safetensors files."""

    def __init__(self, folder: Path, device: torch.device | None = None, dtype: torch.dtype | None = None) -> None:
        """Read the heads of the files. See `StoredTensors` for device and dtype.

        Raises ModelError where there is no file, or one is damaged.
        """
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelError(
                f"{folder}: no .safetensors file; the weights of a diffusers folder layout belong here"
            )
        places: dict[str, Place] = {}
        for file in files:
            places |= _places(file)
        super().__init__(places, device, dtype)


class _Placeholder:
    """Stands for a tensor where only its use matters: it has a shape, and every function of it gives another one.

    PyTorch's tensors without values would do, but joining them imports its whole compiler, which takes seconds.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape = shape

    @classmethod
    def __torch_function__(
        cls, _function: object, _types: object, _arguments: object = (), _options: object = None
    ) -> _Placeholder:
        return cls()

    def __getattr__(self, name: str) -> Callable[..., _Placeholder]:
        return lambda *_arguments, **_options: _Placeholder()

    def __getitem__(self, _index: object) -> _Placeholder:
        return _Placeholder()

    def __matmul__(self, _other: object) -> _Placeholder:
        return _Placeholder()


class _Access(Mapping[str, Tensor]):
    """Placeholders of tensors, and the names of those that were used, in their order."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places
        self.names: list[str] = []

    def __getitem__(self, name: str) -> Tensor:
        place = self._places[name]
        self.names.append(name)
        return cast("Tensor", _Placeholder(place.shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _places(file: Path) -> dict[str, Place]:
    """Where the tensors of a file are. Raises ModelError for a damaged one.

    Format: the size of the head as 8 bytes, little-endian; the head, JSON; the tensors, to whose begin the offsets
    in the head are relative (https://huggingface.co/docs/safetensors, "Format").
    """
    try:
        with safe_open(file, framework="pt"):  # checks that head and size of the file fit
            pass
        with file.open("rb") as handle:
            size = int.from_bytes(handle.read(8), "little")
            head = json.loads(handle.read(size))
        return {
            name: Place(file, 8 + size + entry["data_offsets"][0], DTYPES[entry["dtype"]], tuple(entry["shape"]))
            for name, entry in head.items()
            if name != "__metadata__"
        }
    except (SafetensorError, OSError, ValueError) as exc:
        raise ModelError(f"{file}: not a readable safetensors file ({exc})") from exc
    except KeyError as exc:
        raise ModelError(
            f"{file}: a tensor has the number format {exc}; known are {', '.join(sorted(DTYPES))}"
        ) from exc


def load_weights(
    module: Module, folder: Path, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Module:
    """Fill a module, which may be on the meta device, from a folder, and set it to inference.

    Args:
        module: its parameters become those of the files.
        folder: holds the files.
        device: where the weights are placed; default: the CPU.
        dtype: the weights' number format; default: as stored.

    Raises ModelError where the weights do not fit.
    """
    weights = WeightFiles(folder, device, dtype)
    state = weights.apply(lambda tensors: {name: tensors[name] for name in tensors})
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as exc:
        raise ModelError(f"{folder}: the weights do not fit config.json ({exc})") from exc
    return module.eval()
