"""Prompts that a model wrote for each video of a sweep: `prompts: {written: prompts.jsonl}`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.sweep.choices import Axis, Choice
from cosmos_batch.formats.sweep.report import Report
from cosmos_batch.formats.sweep.tables import TableError, read_rows

_PLACE = "prompts.written"
_KEYS = ("written",)


def is_written(value: object) -> bool:
    """Whether a sweep's `prompts` names a file of prompts that were written for its videos."""
    return isinstance(value, dict) and "written" in value


def with_written_prompts(
    axes: Sequence[Axis], given: Mapping[str, object], paths: PathResolver, report: Report
) -> list[Axis]:
    """The axes, where each video has its own prompts of the file beside it; problems are reported."""
    report.unknown_keys(given, _KEYS, "prompts")
    videos = next((axis for axis in axes if axis.name == "videos"), None)
    if videos is None:
        report.add(_PLACE, "has no videos that the prompts are for", "give videos in the sweep, too")
        return list(axes)
    prompts = _prompts(given["written"], paths, report)
    if prompts is None:
        return list(axes)
    choices = []
    for video in videos.choices:
        own = prompts.get(paths.resolve(video.words["video_path"]), [])
        if not own:
            remedy = "write it with cosmos-batch prompts, or leave the video out"
            report.add(_PLACE, f"holds no prompt for {video.words['video_path']}", remedy)
        choices += [video.beside(prompt) for prompt in own]
    made = Axis("videos", choices, "{video}__{prompt_name}", videos.id_words | {"prompt_name"})
    return [made if axis is videos else axis for axis in axes]


def _prompts(file: object, paths: PathResolver, report: Report) -> Mapping[str, list[Choice]] | None:
    """The prompts of each video, by its path; None after a problem."""
    if not isinstance(file, str) or not file:
        report.add(_PLACE, "is no path", "name the file that cosmos-batch prompts wrote", file)
        return None
    try:
        rows = read_rows(Path(paths.resolve(file)))
    except TableError as error:
        report.add(_PLACE, error.message, error.remedy, file)
        return None
    found: defaultdict[str, list[Choice]] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        video, name, prompt = (row.get(key) for key in ("video", "prompt_name", "prompt"))
        if not isinstance(video, str) or not isinstance(name, str) or not isinstance(prompt, str):
            message = f"has no video, prompt_name or prompt in row {number}"
            report.add(_PLACE, message, "name the file that cosmos-batch prompts wrote", file)
            return None
        choice = Choice({"prompt_name": name}, {"prompt": prompt}, {"prompt": _PLACE})
        found[paths.resolve(video)].append(choice)
    return found
