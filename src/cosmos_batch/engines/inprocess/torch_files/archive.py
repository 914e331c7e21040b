"""Files of torch.save (`.pt`): what each tensor is, and where in the file its numbers are; read without PyTorch.

Such a file is a zip archive that is not compressed: `data.pkl` describes the tensors, and a record `data/<key>`
holds the numbers of one storage. So planning knows a file of gigabytes from a few hundred kilobytes, and loading
maps the file and reads each tensor where it is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from cosmos_batch.engines.inprocess.torch_files.pickled import (
    ITEM_BYTES,
    ForeignObjectError,
    TensorView,
    fits,
    unpickle,
)
from cosmos_batch.errors import ModelError

_REMEDY = "needed is a file of weights by name, as torch.save writes it"
_WRAPPERS = ("state_dict", "model", "module")  # fields under which a training loop may keep its weights
_LOCAL_HEADER = struct.Struct("<26x2H")  # of a record: lengths of its name and of its extra field
_DAMAGES = (BadZipFile, ValueError, EOFError, RuntimeError)
"""Errors of `zipfile` for a damaged archive; RuntimeError for an encrypted record, and by its subclass
NotImplementedError for a version or a feature that `zipfile` does not know."""

_PICKLE_BYTES = 1 << 28
"""A `data.pkl` of more bytes describes no network: that of a thousand tensors has 100 kB."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file."""

    dtype: str  # PyTorch's name of its number format: "bfloat16"
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # in numbers
    offset: int  # of its first number in the file, in bytes
    size: int  # bytes from its first number to the end of its last one


@dataclass(frozen=True, slots=True)
class TorchFile:
    """A file of weights."""

    path: Path
    tensors: Mapping[str, StoredTensor]  # by name; other values that stand beside them are left out


def read_torch_file(path: Path) -> TorchFile:
    """Read what a file holds. Raises ModelError where it is damaged, or holds anything but weights by name."""
    try:
        state = path.stat()
        return _read_once(path, state.st_size, state.st_mtime_ns, state.st_ino)
    except OSError as exc:
        raise ModelError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


@lru_cache(maxsize=16)
def _read_once(path: Path, *_state: int) -> TorchFile:
    """What a file holds in this state of it: a model's file is looked at several times before it is loaded."""
    with path.open("rb") as file:
        return _read(path, file)


def _read(path: Path, file: BinaryIO) -> TorchFile:
    try:
        archive = ZipFile(file)
    except _DAMAGES as exc:
        file.seek(0)
        begin = file.read(64)
        raise ModelError(f"{path}: {_other_kind(begin, str(exc))}") from exc
    records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    values = _values(path, archive, records)
    tensors = {
        str(name): _place(path, file, records, str(name), value)
        for name, value in values.items()
        if isinstance(value, TensorView)
    }
    if not tensors:
        raise ModelError(f"{path}: holds no tensors; {_REMEDY}")
    return TorchFile(path, tensors)


def _other_kind(begin: bytes, fault: str) -> str:
    """What a file is instead that cannot be read as a zip archive for some fault."""
    if not begin:
        return "is empty; copy or download it again"
    if begin.startswith(b"PK\x03\x04"):
        return f"is cut short or damaged: the list at its end cannot be read ({fault}); copy or download it again"
    if begin.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS to the file, not the file itself; fetch it with: git lfs pull"
    if begin.startswith(b"\x80"):
        return f"is a pickle outside an archive, as PyTorch wrote before 1.6 and other programs write; {_REMEDY}"
    if begin[8:9] == b"{":
        return "is a safetensors file; give it the ending .safetensors, in a folder of the diffusers layout"
    return f"is no file of torch.save (it begins with {begin[:8]!r}); {_REMEDY}"


def _values(path: Path, archive: ZipFile, records: Mapping[str, ZipInfo]) -> Mapping[object, object]:
    """The weights by name, out of the fields that may hold them."""
    if "constants.pkl" in records:
        raise ModelError(f"{path}: is a TorchScript program; {_REMEDY}")
    if "data.pkl" not in records:
        raise ModelError(f"{path}: is a zip archive without data.pkl; {_REMEDY}")
    try:
        if any(record.compress_type != ZIP_STORED for record in records.values()):
            raise ModelError(f"{path}: is a compressed archive, which torch.save never writes; {_REMEDY}")
        if records["data.pkl"].file_size > _PICKLE_BYTES:
            raise ModelError(f"{path}: its data.pkl has {records['data.pkl'].file_size:,} bytes; {_REMEDY}")
        if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
            raise ModelError(f"{path}: was written on a machine of the other byte order; save it on this one")
        found = unpickle(archive.read(records["data.pkl"]))
    except ForeignObjectError as exc:
        raise ModelError(f"{path}: holds {exc}, which is neither a tensor nor plain data; {_REMEDY}") from exc
    except _DAMAGES as exc:
        raise ModelError(f"{path}: is damaged: its data.pkl cannot be read ({exc})") from exc
    while isinstance(found, Mapping) and (inner := _wrapped(found)) is not None:
        found = inner
    if not isinstance(found, Mapping):
        kind = "tensor" if isinstance(found, TensorView) else type(found).__name__
        raise ModelError(f"{path}: holds one {kind}; {_REMEDY}")
    return found


def _wrapped(found: Mapping[object, object]) -> Mapping[object, object] | None:
    for field in _WRAPPERS:
        inner = found.get(field)
        if isinstance(inner, Mapping):
            return inner
    return None


def _place(
    path: Path, file: BinaryIO, records: Mapping[str, ZipInfo], name: str, view: TensorView
) -> StoredTensor:
    record = records.get(f"data/{view.storage.key}")
    if record is None or record.compress_type != ZIP_STORED or not fits(view, record.file_size):
        raise ModelError(f"{path}: is damaged: the numbers of tensor {name!r} are not in it")
    item = ITEM_BYTES[view.dtype]
    file.seek(record.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        raise ModelError(f"{path}: is cut short in tensor {name!r}; copy or download it again")
    begin = record.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
    return StoredTensor(view.dtype, view.shape, view.stride, begin + view.start * item, view.span * item)
