"""DIR/manifest.jsonl: one line for every run of the latest command, with its state."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cosmos_batch.dispatch.output.directory import OutputDirectory, output_of
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.scoring.scores import flags_of


def write_manifest(folder: OutputDirectory, statuses: Iterable[RunStatus]) -> None:
    """Write the manifest, whole or not at all. Raises StorageError."""
    lines = [json.dumps(_line(folder, status), ensure_ascii=False) for status in statuses]
    folder.write(folder.manifest, "".join(line + "\n" for line in lines))


def _line(folder: OutputDirectory, status: RunStatus) -> dict[str, Any]:
    done = status.state is State.SUCCEEDED
    return {
        "id": status.id,
        "state": status.state,
        "output": f"{status.id}/{output_of(folder.published(status.id)).name}" if done else None,
        "cause": "" if done else status.cause,
        "seconds": None if status.seconds is None else round(status.seconds, 3),
        "fingerprint": status.fingerprint,
        "scores": dict(status.scores) if done else {},
        "flags": list(flags_of(status.scores)) if done else [],
        "acceptance": dict(status.acceptance) or None,
    }
