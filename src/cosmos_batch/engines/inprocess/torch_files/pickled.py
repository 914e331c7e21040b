"""The pickle in a file of torch.save: names and descriptions of tensors, read without PyTorch.

A pickle may name any function of any module, and have it called when it is read. Here only those are known that
describe tensors and plain data, and none of them touches anything: a file that names another is refused, as
`torch.load(weights_only=True)` refuses it. Beside what that takes, `io.BytesIO` is known, in which
TransformerEngine keeps the extra state of a layer.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pickletools import genops
from typing import Any, NamedTuple

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16, "uint16": 2, "uint32": 4, "uint64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
"""Bytes of a number, by PyTorch's name of its format."""

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip


class Storage(NamedTuple):
    """A run of numbers in the file, which one or more tensors are views of."""

    key: str  # the record data/<key> of the file holds it
    dtype: str
    numel: int


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor as the pickle describes it."""

    storage: Storage
    dtype: str
    start: int  # of its first number in the storage, in numbers
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # in numbers

    @property
    def span(self) -> int:
        """Numbers from its first to its last one in the storage."""
        if 0 in self.shape:
            return 0
        return 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))


class ForeignObjectError(Exception):
    """The pickle names something that is neither a tensor nor plain data."""


def _rebuild_tensor(storage: Storage, start: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> TensorView:
    numbers = (start, *shape, *stride)
    if not isinstance(storage, Storage) or not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("a tensor is not described as PyTorch does it")
    return TensorView(storage, storage.dtype, start, tuple(shape), tuple(stride))


def _rebuild_tensor_v2(
    storage: Storage, start: int, shape: tuple[int, ...], stride: tuple[int, ...], *_rest: object
) -> TensorView:
    return _rebuild_tensor(storage, start, shape, stride)


def _rebuild_tensor_v3(  # of formats that have no storage class of their own
    storage: Storage,
    start: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    _gradient: bool,
    _hooks: object,
    dtype: str,
    *_rest: object,
) -> TensorView:
    numbers = storage.numel // ITEM_BYTES[dtype]
    return _rebuild_tensor(storage._replace(dtype=dtype, numel=numbers), start, shape, stride)


def _rebuild_parameter(data: TensorView, *_rest: object) -> TensorView:
    return data


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes in a pickle of protocol 2 are text in Latin-1."""
    if encoding != "latin1":
        raise ForeignObjectError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _size(items: tuple[int, ...] = ()) -> tuple[int, ...]:
    return tuple(items)


def _device(*words: object) -> str:
    return ":".join(map(str, words))


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("builtins", "set"): set,
    ("builtins", "bytearray"): bytearray,
    ("_codecs", "encode"): _encoded,
    ("_io", "BytesIO"): io.BytesIO,
    ("io", "BytesIO"): io.BytesIO,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    """Reads tensors as descriptions, and calls nothing that a file brings along."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and name in ITEM_BYTES:
            return name
        raise ForeignObjectError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _place, numel = pid
        if kind != "storage" or dtype not in ITEM_BYTES:
            raise ForeignObjectError(f"a reference to {kind!r} of {dtype!r}")
        return Storage(str(key), dtype, int(numel))


def unpickle(data: bytes) -> object:
    """The object of the pickle, with a `TensorView` in the place of each tensor.

    Raises ForeignObjectError for one that is not plain data, and ValueError for a damaged pickle.
    """
    try:
        if any(code.name == "LONG_BINPUT" and int(place or 0) > len(data) for code, place, _ in genops(data)):
            raise ValueError("it asks for more memory than its own size needs")
        return _Unpickler(io.BytesIO(data)).load()
    except ForeignObjectError:
        raise
    except Exception as exc:  # a damaged pickle raises almost anything
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc


def fits(view: TensorView, record_bytes: int) -> bool:
    """Whether a tensor's numbers are inside the record of its storage."""
    return (
        len(view.shape) == len(view.stride) and (view.start + view.span) * ITEM_BYTES[view.dtype] <= record_bytes
    )
