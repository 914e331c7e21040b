"""Cache of answers by content: a question about the same clip is put to a model once."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import describe_folder_error, replacing


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt as a model wrote it."""

    text: str
    endpoint: str  # address of the server that was asked
    model: str
    made_at: str  # ISO 8601, UTC


def now() -> str:
    """The time, as it stands in an `Answer`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def key_of(*parts: object) -> str:
    """Digest of everything that an answer depends on."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


class AnswerCache:
    """A folder with a file for each answer, whole or not there. Any number of processes may share it."""

    def __init__(self, folder: Path) -> None:
        """Raises StorageError if the folder cannot be made."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} {describe_folder_error(error)}") from error

    def get(self, key: str) -> Answer | None:
        """The answer under a key; None where there is none, or a damaged one."""
        try:
            found = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            values = [found[each.name] for each in fields(Answer)]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return Answer(*values) if all(isinstance(value, str) for value in values) else None

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer on disk. Raises StorageError."""
        with replacing(self._folder / f"{key}.json") as part:
            part.write_text(json.dumps(asdict(answer), ensure_ascii=False), encoding="utf-8")
