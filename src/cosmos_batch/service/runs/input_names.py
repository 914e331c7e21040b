"""Names of input videos as people know them: of an upload the client's name for it, else the file's own name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from cosmos_batch.spans import with_file


class InputNames:
    """Names of input videos by path. Safe in any thread."""

    def __init__(self, uploads: Path, name_of_upload: Callable[[str], str | None]) -> None:
        """`uploads`: their folder; `name_of_upload`: the client's name for a file id; None: unknown."""
        self._uploads = f"{uploads}/"
        self._name_of_upload = name_of_upload
        self._known: dict[str, str] = {}  # by path of an upload

    def of(self, path: str) -> str:
        """Name a video, with its span behind the name. Raises LedgerError."""
        return with_file(path, self._file)

    def different(self, paths: Iterable[str]) -> dict[str, str]:
        """Name videos so that different ones have different names: of namesakes the folder, too."""
        names = {path: self.of(path) for path in paths}
        times = Counter(names.values())
        return {path: name if times[name] == 1 else _with_place(path, name) for path, name in names.items()}

    def _file(self, path: str) -> str:
        if not path.startswith(self._uploads):
            return Path(path).name
        if path not in self._known:
            name = self._name_of_upload(Path(path).stem)
            if name is None:  # it was deleted; an equal file may be uploaded again
                return Path(path).stem
            self._known[path] = Path(name).name or name
        return self._known[path]


def _with_place(path: str, name: str) -> str:
    """Put the last folder before a name, or behind it the last characters of an upload's id."""
    parent = Path(with_file(path, lambda file: str(Path(file).parent / "x"))).parent.name
    stem = Path(path).stem
    return f"{name} ({stem[-6:]})" if stem.startswith("file-") else f"{parent}/{name}"
