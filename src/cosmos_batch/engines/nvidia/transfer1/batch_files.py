"""The files of batches of `smart_batch_generation`: base spec, lines, weight maps, and the arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos_batch.engines.nvidia.launch_files import make_folder, write_text
from cosmos_batch.engines.nvidia.transfer1.weight_maps import write_constant_map
from cosmos_batch.engines.nvidia.transfer1.write import written_spec
from cosmos_batch.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """Files of one start of the script: a batch, or all batches of a launch. All paths are absolute."""

    spec: Path  # the base spec
    lines: Path  # the batch file: a line for each run
    maps: tuple[Path, ...]  # weight maps that the lines name
    arguments: tuple[
        str, ...
    ]  # the command line after the script's own name; its output folder is left to the user


def write_batch(
    folder: Path,
    name: str,
    spec: Mapping[str, Any],
    lines: Iterable[Mapping[str, Any]],
    maps: Mapping[str, float],
    *,
    size: int,
) -> BatchFiles:
    """Write `<name>_spec.json`, `<name>.jsonl` and the maps below `inputs/`, with absolute paths in them.

    `size`: lines of a tensor batch; the script cuts the lines by count. `maps` gives the weight of each map that a
    line names. Files of the same content are left as they are. Raises InputError for a file of another batch under
    one of these names, and StorageError if something cannot be written.
    """
    folder = folder.absolute()
    inputs = folder / "inputs"
    records = [_absolute(line, {file: str(inputs / file) for file in maps}) for line in lines]
    given = spec["input_video_path"]
    base = json.dumps(written_spec(spec, str(Path(given).absolute()) if given else ""), indent=2) + "\n"
    contents = {
        folder / f"{name}_spec.json": base,
        folder / f"{name}.jsonl": "".join(f"{json.dumps(record)}\n" for record in records),
    }
    _refuse_others(contents)
    if maps:
        make_folder(inputs)
    written = tuple(write_constant_map(inputs, weight) for weight in maps.values())
    for path, text in contents.items():
        write_text(path, text)
    spec_file, lines_file = contents
    files = ("--controlnet_specs", str(spec_file), "--batch_input_path", str(lines_file))
    return BatchFiles(spec_file, lines_file, written, (*files, "--batch_size", str(size)))


def _absolute(line: Mapping[str, Any], maps: Mapping[str, str]) -> dict[str, Any]:
    """A line with absolute paths: the script resolves others against its own working folder."""
    overrides = {
        control: {key: _path(key, value, maps) for key, value in override.items()}
        for control, override in line["control_overrides"].items()
    }
    return {
        **line,
        "visual_input": _path("input_control", line["visual_input"], {}),
        "control_overrides": overrides,
    }


def _path(key: str, value: Any, maps: Mapping[str, str]) -> Any:
    if not isinstance(value, str) or key not in ("control_weight", "input_control"):
        return value
    return maps.get(value) or str(Path(value).absolute())


def _refuse_others(contents: Mapping[Path, str]) -> None:
    """Raise InputError for files that exist with another content."""
    problems = [
        Problem(str(path), None, "", "", "holds another batch", "name a folder that is new or empty")
        for path, text in contents.items()
        if path.exists() and path.read_bytes() != text.encode()
    ]
    if problems:
        raise InputError(problems)
