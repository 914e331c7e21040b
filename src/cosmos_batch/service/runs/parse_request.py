"""Request parser: the body of a request as a resolved run, or every problem of the body at once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cosmos_batch.errors import CosmosBatchError, InputError, MediaError, Problem
from cosmos_batch.formats import run_from_dict
from cosmos_batch.formats.guided import LABELS_SUFFIX, is_label_file
from cosmos_batch.formats.native import NAMES
from cosmos_batch.formats.problems import Location, shown
from cosmos_batch.formats.span_input import located_input
from cosmos_batch.media.info import MAX_FRAMES, VideoInfo, frame_limits, videos_of
from cosmos_batch.media.untrusted import probe_untrusted
from cosmos_batch.planning.batch_keys import input_facts, resolved_defaults
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.input_warnings import input_warnings
from cosmos_batch.planning.resolve import UNKNOWN_FPS, leading_facts, resolve
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run
from cosmos_batch.service.http.json_body import crowded_objects
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.spans import file_of, split_span

TEXT_FIELDS = frozenset(
    {"id", "prompt", "negative_prompt", "model", "seconds", "size", "resolution", "video", "file_id"}
)
"""Fields of a form that are text even if their value looks like a number."""

_CACHED_FACTS = 50_000  # videos
_FILE_PREFIX = "file-"
_BASE = Path("/")  # of relative paths, all of which are resolved before


class FindUpload(Protocol):
    """Finds uploaded videos."""

    def __call__(self, file_id: str) -> Path | None:
        """Find the video with this id; None where there is none. Raises LedgerError."""


@dataclass(frozen=True, slots=True)
class ParsedRun:
    """A valid run of a request."""

    run: ResolvedRun
    facts: Mapping[str, VideoInfo]  # of the run's videos, by path
    warnings: tuple[Problem, ...]  # what is taken and probably not meant


class RequestParser:
    """Parses requests into runs of one engine. Safe to use from several threads."""

    def __init__(self, traits: Traits, model: str, allowed: AllowedDirectories, find_upload: FindUpload) -> None:
        self._traits = traits
        self._model = model
        self._allowed = allowed
        self._find_upload = find_upload
        self._facts: dict[tuple[object, ...], VideoInfo] = {}
        self._probed: set[str] = set()  # names of videos that were probed

    def parse(self, body: Mapping[str, Any], run_id: str) -> ParsedRun:
        """Parse a body into a run with the id `run_id`, unless the body has an id. Probes videos not in the cache.

        Raises InputError with every problem of the body, and LedgerError.
        """
        if crowded := list(crowded_objects(body)):
            raise InputError(crowded)
        problems: list[Problem] = []
        record = {"id": run_id, **_record(body, self._model, problems)}
        if isinstance(inputs := record.get("inputs"), dict):
            record["inputs"] = self._located(inputs, problems)
        seconds = _seconds(body.get("seconds"), problems)
        try:
            run = run_from_dict(record, base=_BASE)
        except InputError as exc:
            raise InputError(tuple(dict.fromkeys((*problems, *exc.problems)))) from exc
        if problems:
            raise InputError(problems)
        return self._resolved(run, seconds, _given_names(body, record))

    def is_cached(self, body: Mapping[str, Any]) -> bool:
        """Tell whether every video of a body was probed before, so that `parse` does not block."""
        inputs = body.get("inputs")
        reference = body.get("input_reference")
        named = [*inputs.values()] if isinstance(inputs, dict) else []
        named += [reference.get("file_id") if isinstance(reference, dict) else reference] if reference else []
        return all(isinstance(text, str) and text in self._probed for text in named)

    def probe_videos(self, body: Mapping[str, Any]) -> None:
        """Probe the videos of a body, so that `is_cached` holds. Ignores problems, which `parse` reports."""
        with suppress(InputError):
            self.parse(body, "run")

    def _located(self, inputs: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
        """Replace every file id and path of the inputs by the path of a readable file."""
        located = dict(inputs)
        for name, given in inputs.items():
            text = located_input(given)
            if not isinstance(text, str) or not text:
                continue
            file = split_span(text)[0]
            path = self._find_upload(file) if file.startswith(_FILE_PREFIX) else self._allowed.resolve(file)
            if path is None:
                field = f"inputs.{name}" if text is given else f"inputs.{name}.path"
                problems.append(self._unknown_input(field, file))
            else:
                located[name] = f"{path}{text[len(file) :]}"
                self._probed.add(text)
        return located

    def _unknown_input(self, field: str, text: str) -> Problem:
        if text.startswith(_FILE_PREFIX):
            return Location().problem(field, "is not an uploaded video", "upload it with POST /v1/files", text)
        folders = ", ".join(str(folder) for folder in self._allowed.folders)
        within = f"name a file in {folders}" if folders else "this server allows no folder"
        return Location().problem(
            field, "is not a file that may be read here", f"{within}; or upload it with POST /v1/files", text
        )

    def _resolved(self, run: Run, seconds: float | None, names: Mapping[str, _Input]) -> ParsedRun:
        facts: dict[str, VideoInfo] = {}
        problems = []
        for path in videos_of(run):
            try:
                facts[path] = self.facts(path)
            except MediaError as exc:
                problems.append(_problem_of(exc, run, names))
        if problems:
            raise InputError(problems)
        if seconds is not None:
            run = self._with_seconds(run, seconds, facts)
        try:
            resolved = resolve(run, self._traits, facts)
        except CosmosBatchError as exc:
            raise InputError([_problem_of(exc, run, names)]) from exc
        if refused := refusals_by_run([resolved], self._traits, facts):
            raise InputError(refused[resolved.id])
        return ParsedRun(resolved, facts, tuple(self._warnings(run, resolved, facts)))

    def _warnings(self, run: Run, resolved: ResolvedRun, facts: Mapping[str, VideoInfo]) -> list[Problem]:
        return input_warnings(
            run,
            facts,
            names=NAMES,
            location=Location(),
            sampling=resolved.sampling,
            crops=self._traits.crops,
            keeps_size=self._traits.may_keep_size,
            notices=self._traits.notices(run, input_facts(run, facts)),
        )

    def _with_seconds(self, run: Run, seconds: float, facts: Mapping[str, VideoInfo]) -> Run:
        """Set the run's number of frames by its length in seconds."""
        fps = run.sampling.over(resolved_defaults(self._traits)).fps
        if not isinstance(fps, float | int):
            lead = leading_facts(run, facts)
            fps = lead.fps if lead else UNKNOWN_FPS
        if seconds * fps > MAX_FRAMES + 0.5:  # before it becomes an integer: it may be infinite
            remedy = f"ask for at most {MAX_FRAMES / fps:g} s: a run makes at most {MAX_FRAMES} frames"
            raise InputError([Location().problem("seconds", "is too long", remedy, seconds)])
        count = max(1, round(seconds * fps))
        if run.sampling.num_frames not in (None, count):
            remedy = f"leave one of them out: at {fps:g} frames per second, {seconds:g} s are {count} frames"
            raise InputError([Location().problem("seconds", "contradicts num_frames", remedy, seconds)])
        if (most := min(frame_limits(run, facts).values(), default=count)) < count:
            message = f"is longer than the video: {count} frames at {fps:g} frames per second; it has {most}"
            remedy = f"ask for at most {most / fps:g} s, leave it out, or supply a longer video"
            raise InputError([Location().problem("seconds", message, remedy, seconds)])
        return replace(run, sampling=replace(run.sampling, num_frames=count))

    def facts(self, path: str) -> VideoInfo:
        """Probe a video file, once for each content. Raises MediaError."""
        try:
            found = os.stat(file_of(path))  # noqa: PTH116 - pathlib is slower, for every submitted run
        except OSError as exc:
            raise MediaError(f"{path}: cannot be read: {exc.strerror}") from exc
        key = (path, found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._facts.get(key)
        if known is None:
            known = probe_untrusted(Path(path))
            if not known.fps and not is_label_file(path):
                raise MediaError(f"{path}: holds labels; let its name end in {LABELS_SUFFIX}")
            if len(self._facts) >= _CACHED_FACTS:
                self._facts.clear()
                self._probed.clear()
            self._facts[key] = known
        return known


@dataclass(frozen=True, slots=True)
class _Input:
    """A video of a run, as the client named it."""

    field: str
    text: str  # file id or path


def _given_names(body: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, _Input]:
    """Find the client's name of each video of a run, by path."""
    inputs = body.get("inputs") or {}
    names: dict[str, _Input] = {}
    for name, path in record.get("inputs", {}).items():
        if isinstance(path, str):
            given = located_input(inputs.get(name)) if isinstance(inputs, dict) else None
            field = f"inputs.{name}" if given else "input_reference"
            names.setdefault(path, _Input(field, given if isinstance(given, str) else Path(path).stem))
    return names


def _problem_of(error: CosmosBatchError, run: Run, names: Mapping[str, _Input]) -> Problem:
    """Make the problem of an error, in the client's names: without paths of the server and ids of its own."""
    text, found = str(error), None
    for path, given in names.items():
        if text.startswith(f"{path}: "):
            text, found = text.removeprefix(f"{path}: "), given
        text = text.replace(path, given.text)
    text = text.removeprefix(f"run {run.id}: ").replace(f"run {run.id} ", "the run ")
    message, _, remedy = text.partition("; ")
    if found is None:
        return Location().problem("", message, remedy)
    return Location().problem(found.field, message, remedy, found.text)


def _record(body: Mapping[str, Any], model: str, problems: list[Problem]) -> dict[str, Any]:
    """Convert a body to a native record: OpenAI's fields become native ones."""
    record = {name: value for name, value in body.items() if name not in _OPENAI_FIELDS and value is not None}
    model_given = body.get("model")
    if model_given not in (None, model):
        problems.append(
            Location().problem("model", "is not served here", f"leave it out, or say {model}", model_given)
        )
    if (size := body.get("size")) is not None:
        _put_once(record, "execution_config", "resolution", size, "size", problems)
    if (reference := body.get("input_reference")) is not None:
        file_id = reference.get("file_id") if isinstance(reference, dict) else reference
        if not isinstance(file_id, str):
            remedy = (
                'upload the video with the request, or give {"file_id": "file-..."}; addresses are not fetched'
            )
            problems.append(Location().problem("input_reference", "names no file", remedy, reference))
        else:
            _put_once(record, "inputs", "video", file_id, "input_reference", problems)
    return record


_OPENAI_FIELDS = ("model", "size", "seconds", "input_reference")


def _put_once(
    record: dict[str, Any], group: str, name: str, value: object, field: str, problems: list[Problem]
) -> None:
    """Set a field of the native record; report a different value that is already there."""
    fields = record.get(group, {})
    if not isinstance(fields, dict):
        return  # `run_from_dict` reports that
    if fields.get(name) not in (None, value):
        remedy = f"keep one of {field} and {group}.{name}"
        problems.append(Location().problem(field, "is given twice, differently", remedy, value))
        return
    record[group] = {**fields, name: value}


def _seconds(value: object, problems: list[Problem]) -> float | None:
    """Parse the length of the video in seconds; OpenAI's clients send it as text."""
    if value is None:
        return None
    try:
        seconds = (
            float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
        )
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        remedy = 'give a number of seconds above 0, such as "4"'
        problems.append(Problem("", None, "seconds", shown(value), "is not a length in seconds", remedy))
        return None
    return seconds
