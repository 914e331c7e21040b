"""Runs as a table, CSV or Parquet: a row each, with settings, inputs, output and scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS, PRESETS
from cosmos_batch.dispatch.output.directory import RUN_FILE, output_of
from cosmos_batch.dispatch.output.provenance import described_run
from cosmos_batch.errors import InputError, MissingExtraError, OutputError, Problem
from cosmos_batch.media.atomic import replacing
from cosmos_batch.run import Run
from cosmos_batch.score_names import DIRECTIONS
from cosmos_batch.spans import split_span

Row = Mapping[str, str | int | float | bool | None]
"""Values by the names of `COLUMNS`; a column that is missing is null."""

SUFFIXES = (".csv", ".parquet")
_SETTINGS: Mapping[str, type] = {
    "seed": int,
    "num_steps": int,
    "guidance": float,
    "sigma_max": float,
    "fps": float,
    "num_frames": int,
    "resolution": str,
    "negative_prompt": str,
    "num_conditional_frames": int,
    "keep_input_resolution": bool,
}
_OF_CONTROLS: Mapping[str, type] = {
    f"{name}_{part}": kind
    for name in CONTROLS
    for part, kind in (("weight", float), ("video", str), ("sha256", str), ("mask", str), ("mask_sha256", str))
}
COLUMNS: Mapping[str, type] = {
    **dict.fromkeys(("id", "state", "cause", "sweep", "output", "prompt"), str),
    **_SETTINGS,
    **dict.fromkeys(("job_type", *PRESETS, "video", "video_sha256"), str),
    **_OF_CONTROLS,
    **dict.fromkeys(("guided_generation_mask", "guided_generation_mask_sha256"), str),
    "guided_generation_step_threshold": int,
    **dict.fromkeys(("output_width", "output_height", "output_frames"), int),
    "output_fps": float,
    "output_bytes": int,
    "output_sha256": str,
    "seconds": float,
    **dict.fromkeys(("started_at", "ended_at", "engine", "model", "made_by", "fingerprint", "key"), str),
    "priority": int,
    **dict.fromkeys(DIRECTIONS, float),
    **dict.fromkeys(("scores", "flags", "tags", "metadata"), str),
}
"""Every column with its type, in order; the same whatever the runs. `made_by`, `scores`, `tags` and `metadata` are
JSON objects, `flags` is words with spaces between."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A run of a manifest."""

    run: Run
    state: str
    cause: str = ""  # why it has not succeeded
    folder: Path | None = None  # of its finished output


def check_table(path: Path) -> None:
    """Raise InputError or MissingExtraError where no table can be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError([_problem(path, "is no name of a table", f"end it in {' or '.join(SUFFIXES)}")])
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(
            [_problem(path, "is no file in a folder that exists", "name another, or make its folder")]
        )
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("a Parquet table", "datasets") from error


def write_table(path: Path, entries: Sequence[ManifestEntry]) -> None:
    """Write a row for each run, whole or not at all. Raises StorageError."""
    rows = [row_of(entry) for entry in entries]
    with replacing(path) as part:
        if path.suffix.lower() == ".parquet":
            _write_parquet(part, rows)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                writer.writerows([cell(row.get(name)) for name in COLUMNS] for row in rows)


def row_of(entry: ManifestEntry) -> Row:
    """The row of a run: of a finished one by its run.json, which says what was read and used."""
    description = _description(entry.folder) if entry.folder else {}
    run = entry.run
    if description:
        try:
            run = described_run(description)
        except OutputError:
            description = {}
    row = {"id": entry.run.id, "state": entry.state, "cause": entry.cause or None}
    row |= dict(_of_run(run, _digests(description)))
    return row | dict(_of_output(entry.folder, description)) if entry.folder and description else row


def _of_run(run: Run, digests: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    yield from (("prompt", run.prompt), ("job_type", run.job_type), ("priority", int(run.priority)))
    yield "fingerprint", run.fingerprint
    yield from ((name, getattr(run.sampling, name)) for name in _SETTINGS if name != "fps")
    yield "fps", None if run.sampling.fps == "input" else run.sampling.fps
    yield from run.presets.items()
    yield from _input("video", "video_sha256", run.video, digests)
    for control in run.active:
        yield f"{control.name}_weight", control.weight
        yield from _input(f"{control.name}_video", f"{control.name}_sha256", control.video, digests)
        yield from _input(f"{control.name}_mask", f"{control.name}_mask_sha256", control.mask, digests)
    if run.guided_generation is not None:
        mask = run.guided_generation.mask
        yield from _input("guided_generation_mask", "guided_generation_mask_sha256", mask, digests)
        yield "guided_generation_step_threshold", run.guided_generation.step_threshold
    if run.annotations is not None:
        yield "sweep", run.annotations.sweep
        yield "tags", _json(run.annotations.tags)
        yield "metadata", _json(run.annotations.metadata)


def _of_output(folder: Path, description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    output = description["output"]
    yield from ((f"output_{name}", output.get(name)) for name in ("width", "height", "frames", "fps"))
    file = output_of(folder, output.get("frames"))
    facts = description.get("outputs", {}).get(file.name, {})
    yield from (("output", f"{folder.name}/{file.name}"), ("output_bytes", facts.get("bytes")))
    yield "output_sha256", facts.get("sha256")
    yield from ((name, description.get(name)) for name in ("seconds", "started_at", "ended_at", "key"))
    made_by, scores = description.get("made_by", {}), description.get("scores", {})
    yield from (("engine", made_by.get("engine")), ("model", made_by.get("model")), ("made_by", _json(made_by)))
    yield from ((name, scores.get(name)) for name in DIRECTIONS)
    yield from (("scores", _json(scores)), ("flags", " ".join(description.get("flags", ()))))


def _input(
    name: str, digest: str, video: str | None, digests: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    if video is not None:
        yield name, video
        yield digest, digests.get(split_span(video)[0])


def _description(folder: Path) -> Mapping[str, Any]:
    """The contents of a folder's run.json; empty where it cannot be read."""
    try:
        found = json.loads((folder / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("output"), dict) else {}


def _digests(description: Mapping[str, Any]) -> dict[str, str]:
    inputs = description.get("inputs", ())
    return {each["path"]: each["sha256"] for each in inputs if "path" in each and "sha256" in each}


def _json(value: Mapping[str, Any]) -> str | None:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True) if value else None


def cell(value: object) -> object:
    """A value as CSV has it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table as write

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    columns = {
        name: [float(value) if kind is float and value is not None else value for value in values]
        for name, kind in COLUMNS.items()
        for values in [[row.get(name) for row in rows]]
    }
    write(pa.table(columns, schema=schema), path)


def _problem(path: Path, message: str, remedy: str) -> Problem:
    return Problem("", None, "--manifest", str(path), message, remedy)
