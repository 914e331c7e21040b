"""Files of runs for the command line."""

from __future__ import annotations

import json
from pathlib import Path


def write_runs(path: Path, ids: list[str], **fields: object) -> Path:
    """Write native runs with one video, in.mp4, and return the file."""
    weights = {"execution_config": {"weights": {"edge": 0.5}}}
    records = [{"id": id_, "prompt": f"street {id_}", "inputs": {"video": "in.mp4"}, **weights} for id_ in ids]
    path.write_text("".join(json.dumps(record | fields) + "\n" for record in records))
    return path
