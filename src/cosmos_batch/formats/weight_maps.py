"""Weight maps that are the same all over: files of `torch.save` that say no more than a number does."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping

from cosmos_batch.formats.input_files import Locator

_LARGEST = 4096  # bytes of numbers: whoever writes a constant map writes a small one
_STORAGES = {b"torch\nDoubleStorage\n": "d", b"torch\nFloatStorage\n": "f"}


def with_constants(control: Mapping[str, object], locator: Locator) -> Mapping[str, object]:
    """A control of a Transfer1 file, its weight as a number where it is a map of a single value."""
    weight = control.get("control_weight")
    if not isinstance(weight, str) or not weight.endswith(".pt"):
        return control
    constant = constant_of(locator.resolve(weight))
    return control if constant is None else {**control, "control_weight": constant}


def constant_of(path: str) -> float | None:
    """The one value of a small tensor of floats that `torch.save` wrote; None where the file is anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            about, stored = archive.read(names["data.pkl"]), archive.getinfo(names["data/0"])
            order = archive.read(names["byteorder"]) if "byteorder" in names else b"little"
            raw = archive.read(stored) if stored.file_size <= _LARGEST and "data/1" not in names else b""
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    kinds = [code for mark, code in _STORAGES.items() if mark in about]
    if len(kinds) != 1 or order != b"little" or not raw:
        return None
    values = {value for (value,) in struct.iter_unpack(f"<{kinds[0]}", raw)}
    return values.pop() if len(values) == 1 else None
