"""Models that one `.pt` file names: FILE.pt, FILE.pt@edge, FILE.pt@distilled/edge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.controls import CONTROLS

SUFFIX = ".pt"
ENCODERS = ("vae", "text_encoder", "tokenizer")
"""The folders of a model's other networks, which may be beside the file."""

_CONTROLS = frozenset(name for each in CONTROLS.values() for name in (each.name, each.checkpoint) if name)
_PUBLISHED_DEPTH = 3  # NVIDIA keeps a file in general/<control>/, or in distilled/general/<control>/


@dataclass(frozen=True, slots=True)
class FileModel:
    """A file with the base network and one control's branch."""

    file: Path
    kind: str  # "distilled", or "" for the general model
    control: str  # as the user or NVIDIA's folder calls it; "" where neither says it

    @property
    def parts(self) -> Path | None:
        """The folder of the model's other parts, where they are beside the file."""
        folder = self.file.parent
        return folder if any((folder / part).is_dir() for part in ENCODERS) else None


def file_model(model: str | Path) -> FileModel | None:
    """The file that a model's name is, and what it says of that; None for a folder or a hub id."""
    name = str(model)
    path, at, variant = name.rpartition("@")
    if not at or name.endswith(SUFFIX):
        path, variant = name, ""
    file = Path(path).expanduser()
    if not path.endswith(SUFFIX) or file.is_dir():
        return None
    if not variant:
        return _by_place(file)
    kind, _, control = variant.rpartition("/")
    return FileModel(file, "" if kind == "general" else kind, control)


def _by_place(file: Path) -> FileModel:
    folders = [folder.name for folder in file.absolute().parents][:_PUBLISHED_DEPTH]
    control = next((folder for folder in folders if folder in _CONTROLS), "")
    return FileModel(file, "distilled" if control and "distilled" in folders else "", control)


def settings_folder(model: str | Path) -> Path | None:
    """The folder on this machine where a model's settings may be; None: the model is on the hub."""
    named, folder = file_model(model), Path(model).expanduser()
    if named is not None:
        return named.file.parent
    return folder if folder.is_dir() else None


def local_folder(model: str | Path) -> Path | None:
    """The folder on this machine of a model's autoencoder and text encoder; None: they are on the hub."""
    named, folder = file_model(model), Path(model).expanduser()
    if named is not None:
        return named.parts
    return folder if folder.is_dir() else None
