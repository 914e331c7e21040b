"""DIR/manifest.jsonl: one line for every run of the latest command, and how it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cosmos_batch.dispatch.output.directory import MANIFEST, OUTPUT, OutputDirectory
from cosmos_batch.ledger import RunStatus, State


def write_manifest(folder: OutputDirectory, standings: Iterable[RunStatus]) -> None:
    """Write the manifest, whole or not at all. Raises StorageError."""
    lines = [json.dumps(_line(standing), ensure_ascii=False) for standing in standings]
    folder.write(MANIFEST, "".join(line + "\n" for line in lines))


def _line(standing: RunStatus) -> dict[str, Any]:
    done = standing.state is State.SUCCEEDED
    return {
        "id": standing.id,
        "state": standing.state,
        "output": f"{standing.id}/{OUTPUT}" if done else None,
        "cause": "" if done else standing.cause,
        "seconds": None if standing.seconds is None else round(standing.seconds, 3),
        "fingerprint": standing.fingerprint,
    }
