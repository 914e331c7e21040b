"""Uploaded files, stored under a name made of their content: the same video uploaded twice is stored once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.errors import InputError, MediaError, Problem
from cosmos_batch.ledger import FileRecord, Ledger
from cosmos_batch.media.atomic import delete_parts, replacing
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.untrusted import file_type, probe_untrusted
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.multipart import Form, ReceivedFile, read_form

BATCH = "batch"
VIDEO_PURPOSES = ("user_data", "vision")
OUTPUT_PURPOSE = "batch_output"


class Uploads:
    """The uploads of a server: files in a folder, and a record of each in the ledger."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        """Make the folder and delete the part files of an earlier server. Raises StorageError."""
        self.folder = folder.absolute()
        self._ledger = ledger
        self._videos: dict[str, Path] = {}  # by id: those looked up so far
        with folder_errors(self.folder, opening=True):
            self.folder.mkdir(parents=True, exist_ok=True)
            delete_parts(self.folder)

    async def receive(self, content_type: str, chunks: AsyncIterator[bytes]) -> Form:
        """Read a form, its files into the folder. Raises ApiError and StorageError."""
        return await read_form(content_type, chunks, self.folder)

    def keep(self, file: ReceivedFile, purpose: str, owner: str, field: str = "file") -> FileRecord:
        """Store a received file and its record.

        Raises InputError for an unknown purpose or content that does not suit it, StorageError and LedgerError.
        """
        file_id = f"file-{file.sha256[:40]}"
        if purpose == BATCH:
            file_id, suffix, facts = f"file-b{file.sha256[:40]}", "jsonl", None
        elif purpose in VIDEO_PURPOSES:
            suffix, facts = _checked(file, field)
        else:
            remedy = f"say one of {', '.join((BATCH, *VIDEO_PURPOSES))}"
            raise InputError([Problem("", None, "purpose", repr(purpose[:40]), "is not a known purpose", remedy)])
        if known := self._ledger.files.get(file_id):
            if Path(known.path).is_file():
                return known
            self._ledger.files.delete(file_id)
        path = self.folder / f"{file_id}.{suffix}"
        with folder_errors(self.folder):
            file.path.replace(path)
        return self._record(file_id, file, purpose, owner, path, facts)

    def _record(
        self, file_id: str, file: ReceivedFile, purpose: str, owner: str, path: Path, facts: VideoInfo | None
    ) -> FileRecord:
        record = FileRecord(
            id=file_id,
            name=file.filename[:500],
            purpose=purpose,
            path=str(path),
            bytes=file.bytes,
            sha256=file.sha256,
            owner=owner,
            facts=facts,
            created=self._ledger.now(),
        )
        if not self._ledger.files.add(record) and (known := self._ledger.files.get(file_id)):
            return known  # uploaded twice at the same time
        return record

    def write(self, file_id: str, name: str, lines: Iterable[str], owner: str) -> FileRecord:
        """Write a file for a client, of lines of text; replace an earlier one with this id.

        Raises StorageError and LedgerError.
        """
        path = self.folder / f"{file_id}.jsonl"
        digest, size = hashlib.sha256(), 0
        with replacing(path) as part, part.open("wb") as stream:
            for line in lines:
                raw = line.encode("utf-8", "replace") + b"\n"
                stream.write(raw)
                digest.update(raw)
                size += len(raw)
        self._ledger.files.delete(file_id)
        file = ReceivedFile(path, name, size, digest.hexdigest())
        return self._record(file_id, file, OUTPUT_PURPOSE, owner, path, None)

    def video(self, file_id: str) -> Path | None:
        """Find an uploaded video by its id; None where there is none. Raises LedgerError."""
        if file_id not in self._videos:
            record = self._ledger.files.get(file_id)
            if record is None or record.purpose not in VIDEO_PURPOSES:
                return None
            self._videos[file_id] = Path(record.path)
        return self._videos[file_id]

    def name_of(self, file_id: str) -> str | None:
        """Find the client's name for a file; None for an unknown id. Raises LedgerError."""
        record = self._ledger.files.get(file_id)
        return record.name if record else None

    def get(self, file_id: str) -> FileRecord:
        """Get the record of a file. Raises ApiError for an unknown id, and LedgerError."""
        record = self._ledger.files.get(file_id)
        if record is None:
            raise ApiError(404, "not_found", f"there is no file {file_id[:80]!r} here")
        return record

    def delete(self, file_id: str) -> None:
        """Delete a file. Raises ApiError where a run still needs it, LedgerError and StorageError."""
        record = self.get(file_id)
        if self._ledger.queries.needs(record.path):
            message = f"a waiting or running video needs the file {file_id}; cancel the video first, or wait"
            raise ApiError(409, "in_use", message)
        self._ledger.files.delete(file_id)
        self._videos.pop(file_id, None)
        with folder_errors(self.folder):
            Path(record.path).unlink(missing_ok=True)


def _checked(file: ReceivedFile, field: str) -> tuple[str, VideoInfo]:
    """Probe a video: its suffix and facts. Raises InputError for a file that does not decode."""
    try:
        facts = probe_untrusted(file.path)
        return file_type(file.path)[0], facts
    except MediaError as exc:
        message = str(exc).replace(f"{file.path}: ", "")
        raise InputError([Problem("", None, field, repr(file.filename[:80]), message, "")]) from exc
