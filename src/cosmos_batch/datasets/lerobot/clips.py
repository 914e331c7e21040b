"""Episodes as video files of their own, for runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from cosmos_batch.datasets.lerobot.layout import CameraEpisodes, Episode
from cosmos_batch.errors import InputError, MediaError, Problem
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import Frames, frames_of, probe

_RATE_TOLERANCE = 0.01  # of a frame per second, by which a video may differ from the dataset's rate


def episode_videos(dataset: CameraEpisodes, episodes: Sequence[Episode], folder: Path) -> dict[int, Path]:
    """The video of each episode, by its index: a file of the dataset, or a lossless copy of its span in `folder`.

    A copy that is there already is kept. Raises InputError where a video does not hold its episodes, with all
    problems, and MediaError and StorageError.
    """
    by_file: defaultdict[Path, list[Episode]] = defaultdict(list)
    for episode in episodes:
        by_file[episode.video].append(episode)
    facts, problems = _probed(dataset, by_file)
    if problems:
        raise InputError(problems)
    found = {}
    for video, inside in by_file.items():
        path = (dataset.root / video).absolute()
        whole = facts[video].frames
        spans = []
        for episode in inside:
            copy = folder / f"{episode.name}.mp4"
            if episode.start == 0 and episode.length == whole:
                found[episode.index] = path
            else:
                found[episode.index] = copy.absolute()
                spans += [] if _is_whole_copy(copy, episode) else [(episode, copy)]
        _cut(path, spans, dataset)
    return found


def _probed(
    dataset: CameraEpisodes, by_file: Mapping[Path, Sequence[Episode]]
) -> tuple[dict[Path, VideoInfo], list[Problem]]:
    """Size, length and rate of each video, and why it does not hold its episodes."""
    facts: dict[Path, VideoInfo] = {}
    problems = []
    for video, episodes in by_file.items():
        path = str(dataset.root / video)
        try:
            facts[video] = info = probe(path)
        except MediaError as error:
            problems.append(Problem("", None, "", "", str(error), ""))
            continue
        if info.frames > 1 and abs(info.fps - dataset.info.fps) > _RATE_TOLERANCE:
            message = f"has {info.fps:g} frames per second, and the dataset {dataset.info.fps:g}"
            problems.append(Problem(path, None, "", "", message, "record or download the dataset again"))
        for episode in episodes:
            if episode.start + episode.length > info.frames:
                span = f"frames {episode.start} to {episode.start + episode.length - 1}"
                message = f"has {info.frames} frames, and {episode.name} is {span}"
                problems.append(Problem(path, None, "", "", message, "download the video again"))
    return facts, problems


def _is_whole_copy(copy: Path, episode: Episode) -> bool:
    try:
        return copy.is_file() and probe(copy).frames == episode.length
    except MediaError:
        return False


def _cut(path: Path, spans: Sequence[tuple[Episode, Path]], dataset: CameraEpisodes) -> None:
    """Write spans of a video as files of their own, in one pass over it where they do not overlap."""
    position, frames = 0, frames_of(path)
    for episode, copy in sorted(spans, key=lambda span: span[0].start):
        if episode.start < position:
            position, frames = 0, frames_of(path)
        _skip(frames, episode.start - position)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_video(copy, islice(frames, episode.length), dataset.info.rate, lossless=True)
        position = episode.start + episode.length


def _skip(frames: Iterator[Frames], count: int) -> None:
    for _ in islice(frames, count):
        pass
