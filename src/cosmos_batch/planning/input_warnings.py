"""Warnings about the videos and controls of a run: what is taken as it is, and is probably not meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cosmos_batch.errors import Problem
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import FieldNames
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.traits import Notice
from cosmos_batch.run import Run, Sampling

_SAME_RATE = 0.01  # relative difference of two frame rates that count as one: 29.97 and 30
_SAME_SPEED = 0.05  # relative difference between the rates of input and output: scripts round 29.97 to 29
_SAME_SHAPE = 0.04  # relative difference of width / height: 1920x1080 and 1280x704
_SIMILAR_SHAPE = 0.1  # the same between the input and the network: 16:9 and 160x96
_GAP = 5  # a gap is an interval of so many usual ones
_MANY_CONTROLS = 4
_FULL_WEIGHT = 1.0


class _Warning(NamedTuple):
    """A warning about one field of a run."""

    field: str  # by its name in the run's format
    found: object  # the value of the field
    message: str
    remedy: str


class _Video(NamedTuple):
    """A video of a run."""

    field: str  # that names it, in the run's format
    label: str  # its name in a sentence
    path: str
    info: VideoInfo
    is_mask: bool = False

    @property
    def limits(self) -> bool:
        """Whether its frames limit the frames of the run; a mask of one frame holds for the whole video."""
        return not self.is_mask or self.info.frames > 1

    @property
    def ratio(self) -> float:
        """Width / height."""
        return self.info.width / self.info.height

    @property
    def size(self) -> str:
        """Its size as text."""
        return f"{self.info.width}x{self.info.height}"

    def warning(self, message: str, remedy: str) -> _Warning:
        """A warning about this video."""
        return _Warning(self.field, Path(self.path).name, message, remedy)


def input_warnings(
    run: Run,
    infos: Mapping[str, VideoInfo],
    *,
    names: FieldNames,
    location: Location,
    sampling: Sampling | None = None,
    crops: bool = False,
    keeps_size: bool = True,
    notices: Sequence[Notice] = (),
) -> list[Problem]:
    """Every warning about a valid run, with the field names of its format.

    `run`: as the user wrote it; `infos`: of its videos, those that are missing are not judged; `sampling`: the
    resolved settings, None where no engine is chosen; `crops`: whether the engine crops a video of another
    shape, and does not stretch it; `keeps_size`: whether it can give an output the size of its input;
    `notices`: about settings that the chosen engine takes and does not use as they are meant.
    """
    videos = list(_videos(run, infos, names))
    found = [*_about_videos(run, videos, sampling or run.sampling, crops), *_about_weights(run, names)]
    if run.sampling.keep_input_resolution and not keeps_size:
        message = "is not followed by this engine, which writes the model's size"
        found.append(
            _Warning(names.keep_input_resolution, True, message, "choose another engine, or leave it out")
        )
    found += [_Warning(names.setting(each.field), each.found, each.message, each.remedy) for each in notices]
    return [location.warning(each.field, each.message, each.remedy, each.found) for each in found]


def _videos(run: Run, infos: Mapping[str, VideoInfo], names: FieldNames) -> Iterator[_Video]:
    """The probed videos of a run; the others are compared with the first."""
    if run.video is not None and run.video in infos:
        yield _Video(names.video, "the input video", run.video, infos[run.video])
    for control in run.active:
        path = control.video
        if path is not None and path in infos:
            yield _Video(names.video_of(control.name), f"the {control.name} video", path, infos[path])
    for control in run.active:
        path = control.mask
        if path is not None and path in infos:
            yield _Video(
                names.mask_of(control.name), f"the mask of {control.name}", path, infos[path], is_mask=True
            )
    guided = run.guided_mask
    if guided is not None and guided in infos:
        label = "the mask of guided generation"
        yield _Video(names.guided_mask, label, guided, infos[guided], is_mask=True)


def _about_videos(run: Run, videos: Sequence[_Video], settings: Sampling, crops: bool) -> Iterator[_Warning]:
    if not videos:
        return
    lead, *others = videos
    if run.sampling.num_frames is None:
        yield from _lengths([video for video in videos if video.limits])
    for other in others:
        yield from _rates(lead, other)
        if not _close(other.ratio, lead.ratio, _SAME_SHAPE):
            message = f"has {other.size} pixels and {lead.label} {lead.size}: they are stretched onto each other"
            yield other.warning(message, "give videos of one shape")
    yield from _network_shape(lead, settings, crops)
    yield from _speed(lead, settings)
    for video in videos:
        yield from _uneven(video, settings)


def _lengths(videos: Sequence[_Video]) -> Iterator[_Warning]:
    """Warnings about the shortest videos, where a longer one is not used to its end."""
    count = min(video.info.frames for video in videos)
    longer = [video for video in videos if video.info.frames > count]
    if not longer:
        return
    parts = [f"{v.info.frames - count} of {v.info.frames} frames of {v.label}" for v in longer]
    unused = f"{_listed(parts)} are not used"
    for video in videos:
        if video.info.frames != count:
            continue
        if count == 1:
            message = f"is a still picture beside a video: 1 frame is made, and {unused}"
            yield video.warning(message, "give a video, or still pictures alone")
        else:
            remedy = f"give it as many frames, or cut the others to {count}"
            yield video.warning(f"has {count} frames: {unused}", remedy)


def _rates(lead: _Video, other: _Video) -> Iterator[_Warning]:
    """A warning about a control video or mask of another frame rate than the input's."""
    ours, theirs = lead.info, other.info
    if min(ours.frames, theirs.frames) == 1 or not theirs.fps or _same_rate(ours, theirs):
        return
    count = min(ours.frames, theirs.frames)
    message = (
        f"has {_number(theirs.fps)} frames per second and {lead.label} {_number(ours.fps)}: they are used "
        f"frame by frame, so that {_number(count / theirs.fps)} s of it go with {_number(count / ours.fps)} s"
    )
    yield other.warning(message, f"make it with {_number(ours.fps)} frames per second")


def _same_rate(one: VideoInfo, other: VideoInfo) -> bool:
    """Whether two videos are of one frame rate; an uneven one is of every rate between its extremes."""
    (fast, slow), (other_fast, other_slow) = _intervals(one), _intervals(other)
    return fast <= other_slow * (1 + _SAME_RATE) and other_fast <= slow * (1 + _SAME_RATE)


def _intervals(info: VideoInfo) -> tuple[float, float]:
    """The shortest and the longest time between two frames."""
    return info.shortest_interval or 1 / info.fps, info.longest_interval or 1 / info.fps


def _network_shape(lead: _Video, settings: Sampling, crops: bool) -> Iterator[_Warning]:
    """A warning about an input of another shape than the network's."""
    size = _size_of(settings.resolution)
    if size is None or _close(lead.ratio, size[0] / size[1], _SIMILAR_SHAPE):
        return
    what = "cropped" if crops else "stretched"
    message = (
        f"has {lead.size} pixels and goes through the network at {settings.resolution}: the picture is {what}"
    )
    yield lead.warning(message, "crop it to that shape, or choose a resolution of its own shape")


def _speed(lead: _Video, settings: Sampling) -> Iterator[_Warning]:
    """A warning about an output that plays slower or faster than the input."""
    fps, own = settings.fps, lead.info.fps
    if (
        not isinstance(fps, float | int)
        or 1 in (lead.info.frames, settings.num_frames)
        or _close(fps, own, _SAME_SPEED)
    ):
        return
    slower = own > fps
    times = _number(own / fps if slower else fps / own)
    message = (
        f"has {_number(own)} frames per second and the output gets {_number(fps)}: "
        f"it plays {times} times as {'slowly' if slower else 'fast'}"
    )
    yield lead.warning(message, f"set fps to {_number(own)} to keep the speed")


def _uneven(video: _Video, settings: Sampling) -> Iterator[_Warning]:
    """A warning about a variable frame rate, or about a gap."""
    info = video.info
    shortest, usual, longest = info.shortest_interval, info.usual_interval, info.longest_interval
    if shortest is None or usual is None or longest is None:
        return
    fps = settings.fps if isinstance(settings.fps, float | int) else info.fps
    flattened = f"its frames are used one by one, at a constant {_number(fps)} per second"
    if longest >= _GAP * usual:
        remedy = "cut it at the gap, or fill the gap with frames"
        yield video.warning(f"has a gap of {_number(longest)} s between two frames: {flattened}", remedy)
    else:
        range_ = f"{_number(shortest * 1000)} to {_number(longest * 1000)} ms between frames"
        remedy = "encode it with a constant frame rate"
        yield video.warning(f"has a variable frame rate, {range_}: {flattened}", remedy)


def _about_weights(run: Run, names: FieldNames) -> Iterator[_Warning]:
    """A warning about many controls at full weight, of which vis alone gives the look of the input."""
    active = run.active
    full = all(control.weight >= _FULL_WEIGHT for control in active)
    if len(active) < _MANY_CONTROLS or not full or "vis" not in run.signature:
        return
    message = (
        f"has {len(active)} controls at full weight with vis among them: "
        "they hold the output to the look of the input, and leave little to the prompt"
    )
    remedy = "lower vis, or leave controls out"
    field = names.weights[0] if len(names.weights) == 1 else names.renamed.get("vis", "vis")
    yield _Warning(field, ", ".join(run.signature), message, remedy)


def _size_of(resolution: str | None) -> tuple[int, int] | None:
    """Width and height of "WIDTHxHEIGHT"; None for a resolution that only an engine knows."""
    width, x, height = (resolution or "").partition("x")
    return (int(width), int(height)) if x else None


def _close(value: float, other: float, tolerance: float) -> bool:
    return abs(value - other) <= tolerance * max(value, other)


def _number(value: float) -> str:
    """A number with at most two decimals; below 1 with at most three significant digits."""
    return f"{round(value, 2) if value >= 1 else float(f'{value:.3g}'):.15g}"


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
