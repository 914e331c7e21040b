"""Constant weight maps: files of `torch.save` that are equivalent to a number."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping

from cosmos_batch.formats.input_files import PathResolver

_LARGEST = 4096  # bytes of values; a constant map is small
_STORAGES = {b"torch\nDoubleStorage\n": "d", b"torch\nFloatStorage\n": "f"}
# What `zipfile` raises for damaged, encrypted and foreign files
_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, EOFError, zlib.error, struct.error, zipfile.BadZipFile)


def replace_constant_map(control: Mapping[str, object], paths: PathResolver) -> Mapping[str, object]:
    """A control of a Transfer1 file, its weight as a number where it is a constant map."""
    weight = control.get("control_weight")
    if not isinstance(weight, str) or not weight.endswith(".pt"):
        return control
    constant = constant_value(paths.resolve(weight))
    return control if constant is None else {**control, "control_weight": constant}


def constant_value(path: str) -> float | None:
    """The value of a small constant tensor of floats that `torch.save` wrote; None for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            pickle, stored = _start(archive, names["data.pkl"]), archive.getinfo(names["data/0"])
            order = _start(archive, names["byteorder"]) if "byteorder" in names else b"little"
            raw = archive.read(stored) if stored.file_size <= _LARGEST and "data/1" not in names else b""
    except _UNREADABLE:
        return None
    kinds = [code for mark, code in _STORAGES.items() if mark in pickle]
    if len(kinds) != 1 or order != b"little" or not raw or len(raw) % struct.calcsize(kinds[0]):
        return None
    values = {value for (value,) in struct.iter_unpack(f"<{kinds[0]}", raw)}
    return values.pop() if len(values) == 1 else None


def _start(archive: zipfile.ZipFile, name: str) -> bytes:
    """The beginning of a member, however large it claims to be."""
    with archive.open(name) as stream:
        return stream.read(_LARGEST)
