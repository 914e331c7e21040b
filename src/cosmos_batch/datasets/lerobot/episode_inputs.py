"""Episodes as inputs of runs: a file of the dataset, or the span of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.errors import InputError, MediaError, Problem
from cosmos_batch.formats.lerobot.layout import CameraEpisodes, Episode
from cosmos_batch.media.video import probe

_RATE_TOLERANCE = 0.01  # of a frame per second, by which a video may differ from the dataset's rate


def episode_inputs(dataset: CameraEpisodes, episodes: Sequence[Episode]) -> dict[int, object]:
    """What a native run gives as its input video, for each episode by its index.

    Raises InputError, with all problems, where videos cannot be read or do not hold their episodes.
    """
    by_file: defaultdict[Path, list[Episode]] = defaultdict(list)
    for episode in episodes:
        by_file[episode.video].append(episode)
    found: dict[int, object] = {}
    problems = []
    for video, inside in by_file.items():
        path = str((dataset.root / video).absolute())
        try:
            info = probe(path)
        except MediaError as error:
            problems.append(Problem("", None, "", "", str(error), ""))
            continue
        if info.frames > 1 and abs(info.fps - dataset.info.fps) > _RATE_TOLERANCE:
            message = f"has {info.fps:g} frames per second, and the dataset {dataset.info.fps:g}"
            problems.append(Problem(path, None, "", "", message, "record or download the dataset again"))
        for episode in inside:
            if episode.start + episode.length > info.frames:
                span = f"frames {episode.start} to {episode.start + episode.length - 1}"
                message = f"has {info.frames} frames, and {episode.name} is {span}"
                problems.append(Problem(path, None, "", "", message, "download the video again"))
            whole = episode.start == 0 and episode.length == info.frames
            span_input = {"path": path, "start": episode.start, "frames": episode.length}
            found[episode.index] = path if whole else span_input
    if problems:
        raise InputError(problems)
    return found
