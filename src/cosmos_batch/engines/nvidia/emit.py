"""A whole plan as files: the output of `cosmos-batch plan --emit`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, write_text
from cosmos_batch.engines.nvidia.scripts import SCRIPTS
from cosmos_batch.errors import InputError, PlanError, Problem
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.planning.plan import Launch, Plan


def emit(plan: Plan, folder: Path, *, cache: ControlCache) -> tuple[LaunchFiles, ...]:
    """Write every launch of a plan into a folder, beside `launches.json` and `commands.txt`.

    Raises PlanError for an engine that is no script, InputError for a folder that holds an earlier plan,
    MediaError if a control video cannot be made, and StorageError if something cannot be written.
    """
    script = SCRIPTS.get(plan.engine)
    if script is None:
        raise PlanError(f"engine {plan.engine!r} reads no files; {', '.join(SCRIPTS)} do")
    if (folder / "launches.json").exists():
        remedy = "name a folder that is new or empty"
        raise InputError([Problem(str(folder), None, "", "", "holds the files of an earlier plan", remedy)])
    written = tuple(script.write(launch, folder, cache, str) for launch in plan.launches)
    variables = [f"{name}={value}" for name, value in script.environment.items()]
    start = [*(["env", *variables] if variables else []), "python", *script.program]
    commands = [[*start, *files.arguments] for files in written]
    write_text(folder / "commands.txt", "".join(f"{shlex.join(command)}\n" for command in commands))
    launches = [_entry(*each) for each in zip(plan.launches, written, commands, strict=True)]
    index = {"engine": plan.engine, "launches": launches}
    write_text(folder / "launches.json", json.dumps(index, indent=2) + "\n")
    return written


def _entry(launch: Launch, files: LaunchFiles, command: list[str]) -> dict[str, Any]:
    return {
        "command": command,
        "reason": launch.reason,
        "predicted_seconds": round(launch.seconds, 1),
        "batch_size": files.batch_size,
        "files": [str(path) for path in files.files],
        "inputs": [str(path) for path in files.inputs],
        "runs": [
            {"id": sample.run.id, "name": sample.name, "video": str(sample.video)} for sample in files.samples
        ],
    }
