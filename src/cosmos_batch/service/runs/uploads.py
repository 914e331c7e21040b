"""Files that clients send: kept by what they hold, so that the same video sent twice lies on the disk once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.errors import InputError, LedgerError, MediaError, Problem
from cosmos_batch.ledger import FileRecord, Ledger
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.untrusted import kind_of, probe_stranger
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.multipart import Form, Received, read_form

BATCH = "batch"
VIDEO_PURPOSES = ("user_data", "vision")
OUTPUT_PURPOSE = "batch_output"


class Uploads:
    """The files of a server's home, and the ledger's record of each."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        """Make the folder, and clear what an earlier server left half-written. Raises StorageError."""
        self.folder = folder.absolute()
        self._ledger = ledger
        self._videos: dict[str, Path] = {}  # by id, of those that were asked for
        with folder_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in self.folder.glob(".*.part"):
                part.unlink()

    async def receive(self, content_type: str, chunks: AsyncIterator[bytes]) -> Form:
        """Read a form, its files to the disk. Raises Refusal and StorageError."""
        return await read_form(content_type, chunks, self.folder)

    def keep(self, received: Received, purpose: str, owner: str, field: str = "file") -> FileRecord:
        """Take a received file over. Raises InputError for what is not what its purpose says, and LedgerError."""
        file_id = f"file-{received.sha256[:40]}"
        if purpose == BATCH:
            file_id, suffix, facts = f"file-b{received.sha256[:40]}", "jsonl", None
        elif purpose in VIDEO_PURPOSES:
            suffix, facts = _accepted(received, field)
        else:
            remedy = f"say one of {', '.join((BATCH, *VIDEO_PURPOSES))}"
            raise InputError(
                [Problem("", None, "purpose", repr(purpose[:40]), "is not a purpose known here", remedy)]
            )
        if known := self._ledger.files.get(file_id):
            if Path(known.path).is_file():
                return known
            self._ledger.files.delete(file_id)
        path = self.folder / f"{file_id}.{suffix}"
        with folder_errors(self.folder):
            received.path.replace(path)
        return self._record(file_id, received, purpose, owner, path, facts)

    def _record(
        self, file_id: str, received: Received, purpose: str, owner: str, path: Path, facts: VideoInfo | None
    ) -> FileRecord:
        record = FileRecord(
            id=file_id,
            name=received.filename[:500],
            purpose=purpose,
            path=str(path),
            bytes=received.bytes,
            sha256=received.sha256,
            owner=owner,
            facts=facts,
            created=time.time(),
        )
        try:
            self._ledger.files.add(record)
        except LedgerError:
            if known := self._ledger.files.get(file_id):  # sent twice at the same time
                return known
            raise
        return record

    def write(self, file_id: str, name: str, lines: Iterable[str], owner: str) -> FileRecord:
        """Make a file for a client, of lines of text; one of that id that is there already is replaced."""
        path = self.folder / f"{file_id}.jsonl"
        digest, size = hashlib.sha256(), 0
        with replacing(path) as part, part.open("wb") as stream:
            for line in lines:
                raw = line.encode("utf-8", "replace") + b"\n"
                stream.write(raw)
                digest.update(raw)
                size += len(raw)
        self._ledger.files.delete(file_id)
        received = Received(path, name, size, digest.hexdigest())
        return self._record(file_id, received, OUTPUT_PURPOSE, owner, path, None)

    def video(self, file_id: str) -> Path | None:
        """The video of that id."""
        if file_id not in self._videos:
            record = self._ledger.files.get(file_id)
            if record is None or record.purpose not in VIDEO_PURPOSES:
                return None
            self._videos[file_id] = Path(record.path)
        return self._videos[file_id]

    def get(self, file_id: str) -> FileRecord:
        """A file's record. Raises Refusal."""
        record = self._ledger.files.get(file_id)
        if record is None:
            raise ApiError(404, "not_found", f"there is no file {file_id[:80]!r} here")
        return record

    def delete(self, file_id: str) -> None:
        """Delete a file. Raises Refusal where a run still needs it."""
        record = self.get(file_id)
        if self._ledger.queries.needs(record.path):
            message = f"a run that waits or runs needs the file {file_id}; cancel it first, or wait"
            raise ApiError(409, "in_use", message)
        self._ledger.files.delete(file_id)
        self._videos.pop(file_id, None)
        with folder_errors(self.folder):
            Path(record.path).unlink(missing_ok=True)


def _accepted(received: Received, field: str) -> tuple[str, VideoInfo]:
    """The suffix that suits a video, and its facts. Raises InputError for what does not decode."""
    try:
        facts = probe_stranger(received.path)
        return kind_of(received.path)[0], facts
    except MediaError as exc:
        message = str(exc).replace(f"{received.path}: ", "")
        raise InputError([Problem("", None, field, repr(received.filename[:80]), message, "")]) from exc
