"""Identity of an engine: what determines its videos. Imports no PyTorch and loads nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cosmos_batch.engines.inprocess.model_files import ModelFolders
from cosmos_batch.engines.inprocess.options import Options

_SAMPLE = 1 << 20
"""Bytes of each file, from its beginning and its end, that enter the digest of a model."""


def model_identity(folders: ModelFolders, engine: str, options: Options) -> dict[str, str]:
    """Return what a video depends on beside its run, the device and versions.

    The weights of a branch count for runs that use it.
    """
    approximations = " ".join(sorted(options.approximations))
    branches = {f"weights_{name}": digest(folder) for name, folder in sorted(folders.controls.items())}
    return {
        "engine": engine,
        "model": folders.settings.name,
        "weights": digest(folders.transformer, folders.vae, folders.text_encoder),
        **branches,
        **({"approximations": approximations} if approximations else {}),
    }


def digest(*places: Path) -> str:
    """Hex digest of a model's parts, each a folder of files or a file: their names, sizes, first and last MiB.

    Reading all bytes of a large model would take longer than loading it; a file that was trained, converted or
    cut differs at its ends or in its size. At the end of a `.pt` file are the checksums of all its tensors; its
    name does not count.
    """
    state = hashlib.blake2b(digest_size=16)
    for place in places:
        if place.is_file():
            state.update(f"{place.stat().st_size}\n".encode())
            state.update(_ends(place))
            continue
        for file in sorted(path for path in place.iterdir() if path.is_file()):
            state.update(f"{place.name}/{file.name} {file.stat().st_size}\n".encode())
            state.update(_ends(file))
    return state.hexdigest()


def _ends(file: Path) -> bytes:
    with file.open("rb") as handle:
        begin = handle.read(_SAMPLE)
        handle.seek(max(file.stat().st_size - _SAMPLE, len(begin)))
        return begin + handle.read()
