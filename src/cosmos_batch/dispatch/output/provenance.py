"""run.json: all that is needed to make a video again, and to check that it answers a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cosmos_batch.dispatch.output.directory import RUN_FILE, output_names
from cosmos_batch.dispatch.output.inputs import file_digest
from cosmos_batch.engines.base import approximations_of, model_key
from cosmos_batch.errors import OutputError
from cosmos_batch.media.info import InputFile, VideoInfo, videos_of
from cosmos_batch.run import Run, with_paths
from cosmos_batch.scoring.acceptance import Tries
from cosmos_batch.scoring.scores import VideoScores, flags_of
from cosmos_batch.spans import split_span

_RUN = TypeAdapter(Run)

Digest = Callable[[str], str]
"""The SHA-256 of the contents of the file of a path, in hex."""
Identity = Mapping[str, str]
"""What an engine makes videos with: engine, model, digest of the weights, versions."""


@dataclass(frozen=True, slots=True)
class VideoSizes:
    """Size, length and rate of a run's videos."""

    inputs: Mapping[str, VideoInfo | None]  # by path; None: not known
    input: VideoInfo | None  # of the input video, else of the first control video; None: not known
    network: VideoInfo  # of what goes through the network
    output: VideoInfo


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """The facts of an attempt that succeeded."""

    attempt: int
    batch: int
    batch_runs: tuple[str, ...]  # ids of all runs of the batch, including this one
    started: float  # seconds since 1970
    ended: float
    resumed: bool  # from a checkpoint
    inputs: tuple[InputFile, ...]  # as they were decoded
    sizes: VideoSizes
    guardrail: tuple[str, ...]  # what the guardrail checked
    scores: VideoScores
    tries: Tries | None = None  # all attempts so far at a run that has to reach scores, this one included


def request_key(run: Run, identity: Identity, digest: Digest) -> str:
    """Hex digest of the request, the contents of its inputs, and the model: all that shapes a run's video.

    The paths of the inputs are no part of it, so that it is the same from any working directory.
    """
    parts = ["contents", with_paths(run, digest).fingerprint, *model_key(run, identity)]
    return _digest_of(parts)


def key_of_inputs(run: Run, identity: Identity, inputs: Iterable[InputFile]) -> str:
    """The key of a request whose inputs are these files."""
    return request_key(run, identity, digests_of(inputs).__getitem__)


def digests_of(inputs: Iterable[InputFile]) -> dict[str, str]:
    """The digests of input files by their paths, without the spans that runs name."""
    return {split_span(file.path)[0]: file.sha256 for file in inputs}


def earlier_key(run: Run, identity: Identity, digest: Digest) -> str:
    """The key that earlier versions gave the request, which depends on the spelling of its paths."""
    return _digest_of(
        [run.fingerprint, *model_key(run, identity), *(digest(split_span(path)[0]) for path in videos_of(run))]
    )


def _digest_of(parts: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def describe(run: Run, work: Path, identity: Identity, info: AttemptInfo) -> dict[str, Any]:
    """Build the contents of run.json for a run whose verified files are in `work`. Raises OSError."""
    return {
        "id": run.id,
        "fingerprint": run.fingerprint,
        "key": key_of_inputs(run, identity, info.inputs),
        "run": {name: value for name, value in asdict(run).items() if name != "acceptance"},
        "inputs": [
            _named(file.path) | {"sha256": file.sha256} | _numbers(info.sizes.inputs.get(file.path))
            for file in info.inputs
        ],
        "made_by": dict(identity),
        "attempt": info.attempt,
        "batch": info.batch,
        "company": info.batch_runs,
        "started": info.started,
        "ended": info.ended,
        "started_at": iso_time(info.started),
        "ended_at": iso_time(info.ended),
        "resumed": info.resumed,
        "seconds": round(info.ended - info.started, 3),
        "input": _numbers(info.sizes.input),
        "network": _numbers(info.sizes.network),
        "output": _numbers(info.sizes.output),
        "outputs": {path.name: _file_facts(path) for path in sorted(work.iterdir()) if path.name != RUN_FILE},
        "guardrail": list(info.guardrail),
        "approximations": list(approximations_of(identity)),
        "scores": dict(info.scores.values),
        "flags": list(flags_of(info.scores.values)),
        "scoring": _scoring(info.scores),
        "acceptance": None if info.tries is None else info.tries.record,
    }


def _scoring(scores: VideoScores) -> dict[str, Any]:
    """What scoring took, or why there are no scores."""
    warnings = {"warnings": list(scores.warnings)} if scores.warnings else {}
    if scores.problem:
        return {"problem": scores.problem, **warnings}
    return {"frames": scores.frames, "seconds": scores.seconds, **warnings}


def _named(video: str) -> dict[str, Any]:
    """The file of an input video, with the span that its run names."""
    path, span = split_span(video)
    return {"path": path} | ({} if span is None else {"span": span.facts})


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _numbers(info: VideoInfo | None) -> dict[str, int | float | None]:
    """Width, height, frames and rate of a video; each None where they are not known."""
    names = ("width", "height", "frames", "fps")
    return {name: None if info is None else getattr(info, name) for name in names}


def _file_facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def write_description(work: Path, description: Mapping[str, Any]) -> None:
    """Write run.json beside the output that it describes. Raises OSError."""
    text = json.dumps(description, ensure_ascii=False, indent=2)
    (work / RUN_FILE).write_text(text + "\n", encoding="utf-8")


def described_run(description: Mapping[str, Any]) -> Run:
    """The run that a run.json is about. Raises OutputError for one that names none."""
    try:
        return _RUN.validate_python(description["run"])
    except (ValidationError, KeyError, TypeError) as exc:
        raise OutputError(f"{RUN_FILE} names no run of this version") from exc


def published_scores(folder: Path) -> dict[str, float]:
    """The scores of a finished run by its run.json; none where that names none, as those of earlier versions."""
    try:
        found = json.loads((folder / RUN_FILE).read_bytes()).get("scores", {})
        return {str(name): float(score) for name, score in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def check_published(folder: Path, key: str) -> None:
    """Check that a finished run answers the request of `key`, and that its files are unchanged.

    Raises OutputError, with what is missing, damaged or different.
    """
    try:
        description = json.loads((folder / RUN_FILE).read_bytes())
        recorded, outputs = description["key"], description["outputs"]
        names = output_names(description["run"]["sampling"]["num_frames"])
        expected = [(folder / name, facts["bytes"], facts["sha256"]) for name, facts in outputs.items()]
    except FileNotFoundError as exc:
        raise OutputError(f"{folder} holds no {RUN_FILE}") from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise OutputError(f"{folder / RUN_FILE} is damaged: {exc}") from exc
    if recorded != key and _key_of(description) != key:
        raise OutputError(f"{folder} was made with other settings, inputs or another model")
    if not any(name in outputs for name in names):
        raise OutputError(f"{folder / RUN_FILE} names no {' or '.join(names)}")
    _check_files(expected)


def _key_of(description: Mapping[str, Any]) -> str:
    """The key of a finished run as this version gives it, from what its run.json says; "" where it does not.

    Earlier versions recorded other keys.
    """
    try:
        digests = {each["path"]: each["sha256"] for each in description["inputs"]}
        run = _with_kept_size(_RUN.validate_python(description["run"]), description)
        return request_key(run, description["made_by"], digests.__getitem__)
    except (ValidationError, KeyError, TypeError, AttributeError):
        return ""


def _with_kept_size(run: Run, description: Mapping[str, Any]) -> Run:
    """The run with the setting that earlier versions did not record: whether its output has its input's size."""
    network, output = (description.get(name) or {} for name in ("network", "output"))
    same = all(network.get(side) == output.get(side) for side in ("width", "height"))
    if same or run.sampling.keep_input_resolution is not None or run.job_type == "upscale":
        return run
    return replace(run, sampling=replace(run.sampling, keep_input_resolution=True))


def _check_files(expected: Iterable[tuple[Path, int, str]]) -> None:
    for path, size, sha256 in expected:
        try:
            same = path.stat().st_size == size and file_digest(path) == sha256
        except OSError as exc:
            raise OutputError(f"{path} is missing or unreadable: {exc.strerror}") from exc
        if not same:
            raise OutputError(f"{path} is not as it was left: damaged or replaced")
