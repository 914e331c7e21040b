"""Names by content: the same bytes under many names are brought to the scripts once."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from pathlib import Path

from cosmos_batch.errors import MediaError, StorageError

_SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class ContentNames:
    """A name for a file that says what is in it: SHA-256 and a harmless form of the suffix."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def name(self, path: Path) -> str:
        """The name. A file is read again only if it has changed. Raises MediaError if it cannot be read."""
        try:
            facts = path.stat()
            identity = (str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)
            if identity not in self._known:
                with path.open("rb") as stream:
                    self._known[identity] = hashlib.file_digest(stream, "sha256").hexdigest() + _suffix(path)
        except OSError as exc:
            raise MediaError(f"{path}: an input cannot be read ({exc.strerror})") from exc
        return self._known[identity]


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if _SAFE_SUFFIX.fullmatch(suffix) else ""


def stage(path: Path, folder: Path, name: str) -> Path:
    """Have a copy of a file lie in a folder under that name, whole or not at all. Raises StorageError.

    No link: a file that is changed in place would change under a name that says what was in it.
    """
    target = folder / name
    if target.exists():
        return target
    part = folder / f".{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        part.replace(target)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be brought into {folder} ({exc.strerror})") from exc
    return target
