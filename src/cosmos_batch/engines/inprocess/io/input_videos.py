"""Input video, control videos and masks of a run, at the network's size and the length of its output."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.engines.resolutions import kept_size
from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.engine_inputs import prepare_control, prepare_guided_mask, prepare_input, prepare_mask
from cosmos_batch.media.info import FileMark, marks_of, videos_of
from cosmos_batch.media.outputs import OutputForm
from cosmos_batch.media.pictures import picture_suffix
from cosmos_batch.media.video import Frames, probe
from cosmos_batch.planning.batch_keys import leading_video
from cosmos_batch.planning.traits import PURE_NOISE
from cosmos_batch.run import ResolvedRun

SOURCE = ""
"""Name of the input video among the videos that are encoded."""

_TRIES = 3  # times that the videos of a run are read whose files change meanwhile

Mask = NDArray[np.float32]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Videos:
    """The frames that a run is made from."""

    controls: Mapping[str, Frames]
    masks: Mapping[str, Mask | None]
    source: Frames | None  # the input video, where its latents are used
    form: OutputForm  # of the files that are made of them
    guided_mask: Mask | None = None  # of guided generation
    contents: Mapping[str, str] = field(default_factory=dict)
    """A digest of the frames of each control and, under SOURCE, of the input video."""
    files: Mapping[str, FileMark] = field(default_factory=dict)
    """Marks of the files, by path, which were the same before and after they were read."""

    @classmethod
    def of(
        cls,
        controls: Mapping[str, Frames],
        masks: Mapping[str, Mask | None],
        source: Frames | None,
        form: OutputForm,
        guided_mask: Mask | None = None,
    ) -> Videos:
        """Add the digests, which take a while to compute."""
        plain = cls(controls, masks, source, form, guided_mask)
        return replace(plain, contents={name: _digest(frames) for name, frames in plain.encoded.items()})

    @property
    def encoded(self) -> Mapping[str, Frames]:
        """Videos that are encoded to latents, named as in `contents`."""
        return self.controls if self.source is None else {**self.controls, SOURCE: self.source}


def read_videos(run: ResolvedRun, cache: ControlCache) -> Videos:
    """Read or derive all videos that a run needs. Raises MediaError and MissingExtraError.

    Where a file changes meanwhile, all are read again, a few times.
    """
    for _ in range(_TRIES):
        before = marks_of(run)
        try:
            videos = _read_once(run, cache)
        except MediaError:
            if marks_of(run) == before:
                raise
        else:
            if marks_of(run) == before:
                return replace(videos, files=before)
    raise MediaError(f"{', '.join(videos_of(run))}: changes while it is read; wait until it is written")


def _read_once(run: ResolvedRun, cache: ControlCache) -> Videos:
    count, size = run.sampling.num_frames, run_size(run)
    return Videos.of(
        controls={c.name: prepare_control(run, c, count=count, size=size, cache=cache) for c in run.active},
        masks={c.name: prepare_mask(run, c, count=count, size=size, cache=cache) for c in run.active},
        source=prepare_input(run, count=count, size=size) if _needs_source(run) else None,
        form=output_form(run),
        guided_mask=prepare_guided_mask(run, count=count, size=size),
    )


def output_form(run: ResolvedRun) -> OutputForm:
    """Size and kind of a run's output: a picture for one frame, of the kind of its input. Raises MediaError."""
    lead = leading_video(run)
    if lead is None:
        raise MediaError(f"run {run.id}: it names no video; give it an input or control video")
    return OutputForm(
        size=kept_size(probe(lead)) if run.sampling.keep_input_resolution else run_size(run),
        suffix=picture_suffix(lead) if run.sampling.num_frames == 1 else "mp4",
    )


def _digest(frames: Frames) -> str:
    content = hashlib.blake2b(repr(frames.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(frames).reshape(-1).data)
    return content.hexdigest()


def bytes_held(run: ResolvedRun) -> int:
    """Bytes of the host's memory that the videos of a run take."""
    width, height = run_size(run)
    pixels = run.sampling.num_frames * width * height
    masked = sum(control.mask is not None or control.mask_prompt is not None for control in run.active)
    masked += run.guided_generation is not None
    return pixels * (3 * (len(run.active) + _needs_source(run)) + 4 * masked)


def run_size(run: ResolvedRun) -> Size:
    """Width and height of a run's video in the network."""
    width, _, height = run.sampling.resolution.partition("x")
    return int(width), int(height)


def starts_from_input(run: ResolvedRun) -> bool:
    """Whether a run starts from its input video, and not from pure noise."""
    return run.sampling.sigma_max < PURE_NOISE


def _needs_source(run: ResolvedRun) -> bool:
    """Whether the latents of a run's input video are used."""
    return starts_from_input(run) or run.guided_generation is not None
