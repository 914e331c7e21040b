"""run.json: all that is needed to make a video again, and to check that it answers a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmos_batch.dispatch.output.directory import OUTPUT, RUN_FILE
from cosmos_batch.engines.base import approximations_of, model_key
from cosmos_batch.errors import OutputError
from cosmos_batch.media.info import FileMark, file_mark, videos_of
from cosmos_batch.run import Run

Digest = Callable[[Path], str]
"""The SHA-256 of a file's contents, in hex."""
Identity = Mapping[str, str]
"""What an engine makes videos with: engine, model, digest of the weights, versions."""


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """The facts of an attempt that succeeded."""

    attempt: int
    batch: int
    batch_runs: tuple[str, ...]  # ids of all runs of the batch, including this one
    started: float  # seconds since 1970
    ended: float
    resumed: bool  # from a checkpoint


def request_key(run: Run, identity: Identity, digest: Digest) -> str:
    """Hex digest of the request, the contents of its inputs, and the model: all that shapes a run's video."""
    parts = [run.fingerprint, *model_key(run, identity), *(digest(Path(path)) for path in videos_of(run))]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's contents. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class InputDigests:
    """SHA-256 of input files, each read once while it is unchanged: many runs share an input.

    Only the main thread of a worker or command touches it.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[FileMark, str]] = {}

    def __call__(self, path: Path) -> str:
        """The digest of a file's contents. Raises OSError."""
        mark = file_mark(path)
        if path not in self._known or self._known[path][0] != mark:
            self._known[path] = mark, file_digest(path)
        return self._known[path][1]


def describe(run: Run, work: Path, identity: Identity, digest: Digest, info: AttemptInfo) -> dict[str, Any]:
    """Build the contents of run.json for a run whose verified files are in `work`. Raises OSError."""
    return {
        "id": run.id,
        "fingerprint": run.fingerprint,
        "key": request_key(run, identity, digest),
        "run": asdict(run),
        "inputs": [{"path": path, "sha256": digest(Path(path))} for path in videos_of(run)],
        "made_by": dict(identity),
        "attempt": info.attempt,
        "batch": info.batch,
        "company": info.batch_runs,
        "started": info.started,
        "ended": info.ended,
        "resumed": info.resumed,
        "seconds": round(info.ended - info.started, 3),
        "outputs": {path.name: _file_facts(path) for path in sorted(work.iterdir()) if path.name != RUN_FILE},
        "approximations": list(approximations_of(identity)),
    }


def _file_facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def write_description(work: Path, description: Mapping[str, Any]) -> None:
    """Write run.json beside the output that it describes. Raises OSError."""
    text = json.dumps(description, ensure_ascii=False, indent=2)
    (work / RUN_FILE).write_text(text + "\n", encoding="utf-8")


def check_published(folder: Path, key: str) -> None:
    """Check that a finished run answers the request of `key`, and that its files are unchanged.

    Raises OutputError, with what is missing, damaged or different.
    """
    try:
        description = json.loads((folder / RUN_FILE).read_bytes())
        recorded, outputs = description["key"], description["outputs"]
        expected = [(folder / name, facts["bytes"], facts["sha256"]) for name, facts in outputs.items()]
    except FileNotFoundError as exc:
        raise OutputError(f"{folder} holds no {RUN_FILE}") from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise OutputError(f"{folder / RUN_FILE} is damaged: {exc}") from exc
    if recorded != key:
        raise OutputError(f"{folder} was made with other settings, inputs or another model")
    if OUTPUT not in outputs:
        raise OutputError(f"{folder / RUN_FILE} names no {OUTPUT}")
    _check_files(expected)


def _check_files(expected: Iterable[tuple[Path, int, str]]) -> None:
    for path, size, sha256 in expected:
        try:
            same = path.stat().st_size == size and file_digest(path) == sha256
        except OSError as exc:
            raise OutputError(f"{path} is missing or unreadable: {exc.strerror}") from exc
        if not same:
            raise OutputError(f"{path} is not as it was left: damaged or replaced")
