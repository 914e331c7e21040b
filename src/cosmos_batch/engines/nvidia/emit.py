"""A whole plan as files: what `cosmos-batch plan --emit` writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_batch.engines.nvidia.cosmos3.write import write_cosmos3
from cosmos_batch.engines.nvidia.launch_files import Written
from cosmos_batch.engines.nvidia.launch_writers import write_text
from cosmos_batch.engines.nvidia.transfer1.write import write_transfer1
from cosmos_batch.engines.nvidia.transfer25.write import write_transfer25
from cosmos_batch.errors import InputError, PlanError, Problem
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.planning.plan import Launch, Plan

SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "transfer1": ("python", "cosmos_transfer1/diffusion/inference/transfer.py"),
    "transfer25": ("python", "examples/inference.py"),
    "cosmos3": ("python", "-m", "cosmos_framework.scripts.inference"),
}
"""How each script is started, from the root of its repository, by engine."""


def emit(plan: Plan, folder: Path, *, cache: ControlCache) -> tuple[Written, ...]:
    """Write every launch of a plan into a folder, beside `launches.json` and `commands.txt`.

    Raises PlanError for an engine that is no script, InputError for a folder that holds an earlier plan,
    MediaError if a control video cannot be made, and StorageError if something cannot be written.
    """
    if plan.engine not in SCRIPTS:
        raise PlanError(f"engine {plan.engine!r} reads no files; {', '.join(SCRIPTS)} do")
    if (folder / "launches.json").exists():
        remedy = "name a folder that is new or empty"
        raise InputError([Problem(str(folder), None, "", "", "holds the files of an earlier plan", remedy)])
    written = tuple(_write(plan.engine, launch, folder, cache) for launch in plan.launches)
    commands = [[*SCRIPTS[plan.engine], *each.arguments] for each in written]
    write_text(folder / "commands.txt", "".join(f"{shlex.join(command)}\n" for command in commands))
    launches = [_entry(*each) for each in zip(plan.launches, written, commands, strict=True)]
    index = {"engine": plan.engine, "launches": launches}
    write_text(folder / "launches.json", json.dumps(index, indent=2) + "\n")
    return written


def _write(engine: str, launch: Launch, folder: Path, cache: ControlCache) -> Written:
    match engine:
        case "transfer1":
            return write_transfer1(launch, folder, cache=cache)
        case "transfer25":
            return write_transfer25(launch, folder)
        case _:
            return write_cosmos3(launch, folder)


def _entry(launch: Launch, written: Written, command: list[str]) -> dict[str, Any]:
    return {
        "command": command,
        "reason": launch.reason,
        "predicted_seconds": round(launch.seconds, 1),
        "batch_size": written.batch_size,
        "files": [str(path) for path in written.files],
        "inputs": [str(path) for path in written.inputs],
        "runs": [
            {"id": sample.run.id, "name": sample.name, "video": str(sample.video)} for sample in written.samples
        ],
    }
