"""Episodes of a LeRobot dataset as the videos of a sweep: `{dataset: PATH, camera: NAME, episodes: "0:10"}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.problems import shown
from cosmos_batch.formats.sweep.choices import Choice, word
from cosmos_batch.formats.sweep.report import Report
from cosmos_batch.spans import Span

_KEYS = ("dataset", "camera", "episodes")


def episode_choices(given: Mapping[str, object], place: str, paths: PathResolver, report: Report) -> list[Choice]:
    """The episodes that an entry of `videos` names, each with its columns as placeholders; problems are reported.

    Each run gets the frame rate of the dataset and outputs of the size of its videos, where the settings of the
    sweep do not say otherwise, so that the videos can take the place of the dataset's.
    """
    report.unknown_keys(given, _KEYS, place)
    faults = [name for name in _KEYS if name in given and not isinstance(given[name], str)]
    for name in faults:
        report.add(f"{place}.{name}", "is not text", "put it in quotes", given[name])
    if "camera" not in given:
        report.add(f"{place}.camera", "is missing", "name a camera, such as observation.images.top")
    if faults or "camera" not in given:
        return []
    try:
        from cosmos_batch.formats.lerobot.layout import CameraEpisodes, Episode, chosen_episodes, read_dataset
    except ImportError:
        remedy = "pip install 'cosmos-batch[datasets]'"
        report.add(f"{place}.dataset", "needs an extra that is not installed", remedy, given["dataset"])
        return []

    def choice(dataset: CameraEpisodes, episode: Episode) -> Choice:
        path = str((dataset.root / episode.video).absolute())
        video = path + Span(episode.start, episode.length).text if dataset.info.is_v3 else path
        words = {name: word(value) for name, value in episode.columns.items()}
        words |= {"video": episode.name, "video_path": video, "video_folder": dataset.root.absolute().name}
        words |= {"episode": str(episode.index), "length": str(episode.length)}
        words |= {"task": "; ".join(episode.tasks)} if any(episode.tasks) else {}
        fields = {"inputs.video": video, "settings.fps": dataset.info.fps, "settings.keep_input_resolution": True}
        return Choice(words, fields, dict.fromkeys(fields, place))

    try:
        dataset = read_dataset(Path(paths.resolve(str(given["dataset"]))), str(given["camera"]))
        ranges = given.get("episodes")
        chosen: Sequence[Episode] = chosen_episodes(dataset, None if ranges is None else str(ranges))
    except InputError as error:
        for problem in error.problems:
            _report(problem, place, report)
        return []
    return [choice(dataset, episode) for episode in chosen]


def _report(problem: Problem, place: str, report: Report) -> None:
    """Add a problem of a dataset: at its own file, or at the key of the sweep in place of an option."""
    if problem.field.startswith("--"):
        where = f"{place}.{problem.field.removeprefix('--')}"
        line, found = report.document.line_of(where), shown(problem.found)
        problem = replace(problem, file=report.file, field=where, line=line, found=found)
    report.problems.setdefault(problem)
