"""Names by content, so that equal files under many names are copied to the scripts once."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from pathlib import Path

from cosmos_batch.errors import MediaError, StorageError

_SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class ContentNames:
    """Names files by their content: SHA-256 and a sanitised suffix."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def name(self, path: Path) -> str:
        """The name of a file, which is read again only if it has changed. Raises MediaError if unreadable."""
        try:
            stat = path.stat()
            identity = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
            if identity not in self._known:
                with path.open("rb") as stream:
                    self._known[identity] = hashlib.file_digest(stream, "sha256").hexdigest() + _suffix(path)
        except OSError as exc:
            raise MediaError(f"{path}: an input cannot be read ({exc.strerror})") from exc
        return self._known[identity]


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if _SAFE_SUFFIX.fullmatch(suffix) else ""


def copy_once(path: Path, folder: Path, name: str) -> Path:
    """Copy a file to a folder under its `ContentNames`' name, whole or not at all, unless it is there.

    Raises StorageError, and MediaError where the file has changed since it was named.

    A link would not do: a file that is changed in place would change under a name that states its content.
    """
    target = folder / name
    if target.exists():
        return target
    part = folder / f".{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        with part.open("rb") as stream:
            same = name.startswith(hashlib.file_digest(stream, "sha256").hexdigest())
        if same:
            part.replace(target)
            return target
        part.unlink()
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be copied to {folder} ({exc.strerror})") from exc
    raise MediaError(f"{path}: the file changed while it was copied; wait until it is written")
