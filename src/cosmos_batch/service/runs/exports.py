"""Exports of many runs: a table, a list of video objects, or an archive of the files."""

from __future__ import annotations

import csv
import io
import secrets
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.dispatch.output.manifest_table import COLUMNS, ManifestEntry, cell, row_of
from cosmos_batch.ledger import Ledger, RunRecord
from cosmos_batch.score_names import DIRECTIONS
from cosmos_batch.service.runs.input_names import InputNames
from cosmos_batch.service.runs.present import VideoPresenter
from cosmos_batch.service.schemas.videos import Video

KEPT_SECONDS = 3600.0  # for which an export can be downloaded
MOST_EXPORTS = 100
SLICE = 200  # runs that are read at once
PIECE = 1 << 20  # bytes that are read at once

FORMATS: Mapping[str, str] = {"csv": "text/csv", "jsonl": "application/jsonl", "zip": "application/zip"}
"""Media types by format."""

TABLE = (*COLUMNS, "video_name", "rating")
"""Columns of the table of an export: those of every table of runs, the input's name, and the rating."""


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """Runs that were asked for as an export."""

    ids: Sequence[str]
    format: str
    at: float  # seconds since 1970


class Exports:
    """The exports of a server. An export is asked for by its runs, and made while it is downloaded."""

    def __init__(
        self,
        ledger: Ledger,
        presenter: VideoPresenter,
        names: InputNames,
        videos: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`videos`: the folder of the finished runs."""
        self._ledger = ledger
        self._presenter = presenter
        self._names = names
        self._videos = videos
        self._clock = clock
        self._orders: OrderedDict[str, ExportOrder] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, ids: Sequence[str], kind: str) -> str:
        """Keep an export for `KEPT_SECONDS`; the oldest goes when there are `MOST_EXPORTS`. Returns its id."""
        export_id = f"export_{secrets.token_hex(12)}"
        with self._lock:
            self._orders[export_id] = ExportOrder(ids, kind, self._clock())
            while len(self._orders) > MOST_EXPORTS:
                self._orders.popitem(last=False)
        return export_id

    def get(self, export_id: str) -> ExportOrder | None:
        """Find an export; None where there is none, or no longer."""
        with self._lock:
            order = self._orders.get(export_id)
        return order if order and self._clock() - order.at < KEPT_SECONDS else None

    def content(self, order: ExportOrder) -> Iterator[bytes]:
        """Make an export, piece by piece. Runs that were deleted meanwhile are left out. Raises LedgerError."""
        if order.format == "csv":
            return self._csv(order.ids)
        if order.format == "jsonl":
            return self._jsonl(order.ids)
        return self._zip(order.ids)

    def _shown(self, ids: Sequence[str]) -> Iterator[Video]:
        for start in range(0, len(ids), SLICE):
            part = ids[start : start + SLICE]
            found = self._ledger.queries.with_attempts(part)
            yield from (self._presenter.video(found[id_]) for id_ in part if id_ in found)

    def _jsonl(self, ids: Sequence[str]) -> Iterator[bytes]:
        for video in self._shown(ids):
            yield video.model_dump_json().encode() + b"\n"

    def _csv(self, ids: Sequence[str]) -> Iterator[bytes]:
        buffer = io.StringIO()
        table = csv.DictWriter(buffer, TABLE, lineterminator="\n")
        table.writeheader()
        for start in range(0, len(ids), SLICE):
            records = self._ledger.queries.records(ids[start : start + SLICE])
            for id_ in ids[start : start + SLICE]:
                if id_ in records:
                    table.writerow(self._row(records[id_]))
            yield _taken(buffer).encode()

    def _row(self, record: RunRecord) -> dict[str, object]:
        """The cells of a run, by column; paths of uploads begin with the id of the file."""
        folder = self._videos / record.id
        entry = ManifestEntry(record.run, record.state, record.cause, folder if folder.is_dir() else None)
        scores = {name: record.scores[name] for name in DIRECTIONS if name in record.scores}
        cells = {**row_of(entry), **scores}
        row: dict[str, object] = {
            name: self._presenter.shown_text(value) if isinstance(value, str) else cell(value)
            for name, value in cells.items()
        }
        video = record.run.video
        return row | {"video_name": self._names.of(video) if video else None, "rating": record.rating}

    def _zip(self, ids: Sequence[str]) -> Iterator[bytes]:
        stream = _Pieces()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, lines in (("runs.csv", self._csv(ids)), ("runs.jsonl", self._jsonl(ids))):
                yield from _written(archive, stream, name, lines)
            for id_ in ids:
                for path in _files(self._videos / id_):
                    yield from _written(archive, stream, f"{id_}/{path.name}", _pieces_of(path))
        yield stream.take()


class _Pieces:
    """A stream that is read as it grows: an archive is never whole in memory."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        """Keep the bytes until they are taken."""
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: every byte can be taken as soon as it is written."""

    def close(self) -> None:
        """Do nothing: what is left can still be taken."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def _written(archive: zipfile.ZipFile, stream: _Pieces, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Write a file into the archive; yields the bytes of the archive."""
    with archive.open(name, "w", force_zip64=True) as target:
        for piece in pieces:
            target.write(piece)
            yield stream.take()


def _files(folder: Path) -> list[Path]:
    """The files of a finished run; none where it has none, or was deleted."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _pieces_of(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except FileNotFoundError:  # deleted meanwhile
        return


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
