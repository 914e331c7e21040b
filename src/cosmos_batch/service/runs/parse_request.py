"""From the body of a request to a resolved run: OpenAI's fields and our own, with every problem at once."""

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
from cosmos_batch.formats.problems import Location, shown
from cosmos_batch.media.info import MAX_FRAMES, VideoInfo, videos_of
from cosmos_batch.media.untrusted import probe_stranger
from cosmos_batch.planning.batch_keys import resolved_defaults
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.resolve import UNKNOWN_FPS, leading_facts, resolve
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun, Run
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories

TEXTS = frozenset(
    {"id", "prompt", "negative_prompt", "model", "seconds", "size", "resolution", "video", "file_id"}
)
"""Fields of a form that are text, also where they read like a number."""

_KEPT_FACTS = 50_000  # videos whose facts are remembered
_FILE_PREFIX = "file-"
_BASE = Path("/")  # of relative paths: there are none left by then


class FindUpload(Protocol):
    """Where uploads are found."""

    def __call__(self, file_id: str) -> Path | None:
        """The video with this id; None where there is none."""


@dataclass(frozen=True, slots=True)
class ParsedRun:
    """A run that may be made."""

    run: ResolvedRun
    facts: Mapping[str, VideoInfo]  # of its videos, by path


class RequestParser:
    """Makes runs of requests, for one engine."""

    def __init__(self, traits: Traits, model: str, roots: AllowedDirectories, find_upload: FindUpload) -> None:
        self._traits = traits
        self._model = model
        self._roots = roots
        self._find_upload = find_upload
        self._facts: dict[tuple[object, ...], VideoInfo] = {}
        self._seen: set[str] = set()  # names of videos that were looked into

    def run_of(self, body: Mapping[str, Any], run_id: str) -> ParsedRun:
        """The run that a body asks for, called `run_id` unless it says otherwise.

        Raises InputError with every problem. Opens the videos that it names, where they are not yet known.
        """
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
        return self._resolved(run, seconds)

    def knows(self, body: Mapping[str, Any]) -> bool:
        """Whether every video that a body names was looked into before, so that `run_of` will be quick."""
        inputs = body.get("inputs")
        reference = body.get("input_reference")
        named = [*inputs.values()] if isinstance(inputs, dict) else []
        named += [reference.get("file_id") if isinstance(reference, dict) else reference] if reference else []
        return all(isinstance(text, str) and text in self._seen for text in named)

    def look_into(self, body: Mapping[str, Any]) -> None:
        """Look into the videos that a body names. What is wrong with them, `run_of` will say."""
        with suppress(InputError):
            self.run_of(body, "run")

    def _located(self, inputs: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
        """The inputs with every file id and path as the path of a file that may be read."""
        located = dict(inputs)
        for name, text in inputs.items():
            if not isinstance(text, str) or not text:
                continue
            path = self._find_upload(text) if text.startswith(_FILE_PREFIX) else self._roots.resolve(text)
            if path is None:
                problems.append(self._lost(f"inputs.{name}", text))
            else:
                located[name] = str(path)
                self._seen.add(text)
        return located

    def _lost(self, field: str, text: str) -> Problem:
        if text.startswith(_FILE_PREFIX):
            return Location().problem(field, "is no uploaded video", "upload it with POST /v1/files", text)
        folders = ", ".join(str(folder) for folder in self._roots.folders)
        within = f"name a file in {folders}" if folders else "this server reads no files of its own"
        return Location().problem(
            field, "is no file that may be read here", f"{within}; or upload it with POST /v1/files", text
        )

    def _resolved(self, run: Run, seconds: float | None) -> ParsedRun:
        facts: dict[str, VideoInfo] = {}
        problems = []
        for path in videos_of(run):
            try:
                facts[path] = self.facts(path)
            except MediaError as exc:
                problems.append(Location().problem("inputs", str(exc).replace(f"{path}: ", ""), ""))
        if problems:
            raise InputError(problems)
        if seconds is not None:
            run = self._lasting(run, seconds, facts)
        try:
            resolved = resolve(run, self._traits, facts)
        except CosmosBatchError as exc:
            raise InputError([Location().problem("", str(exc), "")]) from exc
        if refused := refusals_by_run([resolved], self._traits, facts):
            raise InputError(refused[resolved.id])
        return ParsedRun(resolved, facts)

    def _lasting(self, run: Run, seconds: float, facts: Mapping[str, VideoInfo]) -> Run:
        """The run with as many frames as last so long."""
        fps = run.sampling.over(resolved_defaults(self._traits)).fps
        if not isinstance(fps, float | int):
            lead = leading_facts(run, facts)
            fps = lead.fps if lead else UNKNOWN_FPS
        count = max(1, round(seconds * fps))
        if run.sampling.num_frames not in (None, count):
            remedy = f"leave one of them out: at {fps:g} frames per second, {seconds:g} s are {count} frames"
            raise InputError([Location().problem("seconds", "contradicts num_frames", remedy, seconds)])
        if count > MAX_FRAMES:
            remedy = f"ask for at most {MAX_FRAMES / fps:g} s: a run makes at most {MAX_FRAMES} frames"
            raise InputError([Location().problem("seconds", "is too long", remedy, seconds)])
        return replace(run, sampling=replace(run.sampling, num_frames=count))

    def facts(self, path: str) -> VideoInfo:
        """What a video file says of itself; looked at once. Raises MediaError."""
        try:
            found = os.stat(path)  # noqa: PTH116 - not pathlib, which takes longer, for every run submitted
        except OSError as exc:
            raise MediaError(f"{path}: cannot be read: {exc.strerror}") from exc
        key = (path, found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._facts.get(key)
        if known is None:
            known = probe_stranger(Path(path))
            if len(self._facts) >= _KEPT_FACTS:
                self._facts.clear()
                self._seen.clear()
            self._facts[key] = known
        return known


def _record(body: Mapping[str, Any], model: str, problems: list[Problem]) -> dict[str, Any]:
    """The native record that a body amounts to: OpenAI's fields become ours."""
    record = {name: value for name, value in body.items() if name not in _OPENAI and value is not None}
    wanted = body.get("model")
    if wanted not in (None, model):
        problems.append(Location().problem("model", "is not served here", f"leave it out, or say {model}", wanted))
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


_OPENAI = ("model", "size", "seconds", "input_reference")


def _put_once(
    record: dict[str, Any], group: str, name: str, value: object, field: str, problems: list[Problem]
) -> None:
    """Put a value where the native record has it, unless it is there with another value already."""
    place = record.get(group, {})
    if not isinstance(place, dict):
        return  # a problem that reading reports
    if place.get(name) not in (None, value):
        remedy = f"keep one of {field} and {group}.{name}"
        problems.append(Location().problem(field, "is given twice, differently", remedy, value))
        return
    record[group] = {**place, name: value}


def _seconds(value: object, problems: list[Problem]) -> float | None:
    """How long the video is to last. OpenAI's clients send text."""
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
        problems.append(Problem("", None, "seconds", shown(value), "is not a length", remedy))
        return None
    return seconds
