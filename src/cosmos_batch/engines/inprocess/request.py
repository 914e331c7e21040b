"""State of one run in the engine: its chunks, their conditioning, the frames that are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from cosmos_batch.engines.base import Job
from cosmos_batch.engines.inprocess.checkpoint import SavedState, load_state, save_state
from cosmos_batch.engines.inprocess.family import Chunk, ChunkControl, ChunkSource
from cosmos_batch.engines.inprocess.gpu.host_device import PendingFrames, to_device, to_frames
from cosmos_batch.engines.inprocess.io.chunks import chunk_of, chunk_starts
from cosmos_batch.engines.inprocess.io.input_videos import SOURCE, Mask, Size, Videos, run_size, starts_from_input
from cosmos_batch.engines.inprocess.model import Model
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning
from cosmos_batch.engines.inprocess.sampling.unipc import SolverState
from cosmos_batch.engines.resolutions import chunk_length
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Control, ResolvedRun

MAX_TOKENS = 8192
"""Tokens of a chunk up to which encoding a video waits more for the host than for the device. With more, nothing
is gained by encoding it ahead of time: the host launches it while the run before is decoded."""


@dataclass(slots=True)
class RunState:
    """A run with its chunks. Only `chunk`, `made` and `tail` change."""

    job: Job
    model: Model
    owners: tuple[str, ...]  # identify what a saved state is valid for; it is saved for the first
    size: Size
    chunk_frames: int  # frames of a chunk; the last one is padded to it
    steps: int  # denoising steps of one chunk
    starts: list[int]  # first frame of each chunk
    videos: Videos
    chunk: int = 0
    made: list[Frames] = field(default_factory=list)  # frames of the finished chunks, without overlaps
    tail: Tensor | None = None  # the last frames of the chunk before, as decoded, [1, 3, overlap, height, width]

    @classmethod
    def prepare(cls, job: Job, model: Model, videos: Videos, owners: tuple[str, ...]) -> RunState:
        """State of a run with these videos, at its start."""
        run = job.run
        count, chunk_frames = run.sampling.num_frames, _chunk_frames(model, job.run)
        return cls(
            job=job,
            model=model,
            owners=owners,
            size=run_size(run),
            chunk_frames=chunk_frames,
            steps=run.sampling.num_steps,
            starts=chunk_starts(count, chunk_frames, run.sampling.num_conditional_frames),
            videos=videos,
        )

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """Frames, height and width of a chunk's latents: what is equal within a batch."""
        return latent_size(self.model, self.job.run)

    @property
    def total_steps(self) -> int:
        """Denoising steps of all chunks."""
        return self.steps * len(self.starts)

    @property
    def at_last_chunk(self) -> bool:
        """Whether the present chunk is the last one."""
        return self.chunk + 1 == len(self.starts)

    def copy(self) -> RunState:
        """Copy it, so that this one keeps its state."""
        return replace(self, made=list(self.made))

    def conditioning(self) -> Conditioning:
        """Return the conditioning of the present chunk."""
        run, vae = self.job.run, self.model.vae
        chunk = Chunk(
            prompt=run.prompt,
            sampling=run.sampling,
            controls={control.name: self._control(control) for control in run.active},
            index=self.chunk,
            shape=(vae.latent_channels, *self.latent_size),
            spatial=vae.spatial,
            temporal=vae.temporal,
            before=self._before(),
            source=self._source(),
        )
        return self.model.network.conditioning(chunk)

    def start(self, conditions: Conditioning) -> SolverState:
        """Solver state that the present chunk starts with."""
        device = self.model.device
        noisy = to_device(conditions.noise, device)
        if self.videos.source is not None and starts_from_input(self.job.run):
            sigma = float(conditions.schedule.sigmas[0])
            noisy = (1 - sigma) * to_device(self._encode(self.videos.source, SOURCE), device) + sigma * noisy
        return SolverState.start(noisy)

    def finish_chunk(self, latents: Tensor) -> None:
        """Decode a denoised chunk [1, C, T, H, W] that is not the last, and go to the next."""
        video = self.model.decode(latents)
        self.made.append(to_frames(video)[self._known_frames :])
        self.tail = video[:, :, video.shape[2] - self._overlap :].cpu() if self._overlap else None
        self.chunk += 1

    def output(self, latents: Tensor) -> Callable[[], Frames]:
        """Decode the last chunk [1, C, T, H, W]; returns a function that gives all frames of the run.

        Decoding is launched now; the function waits for it.
        """
        count, skipped, before = self.job.run.sampling.num_frames, self._known_frames, tuple(self.made)
        pending = PendingFrames(self.model.decode(latents))

        def frames() -> Frames:
            last = pending.frames()[skipped:]
            return (np.concatenate((*before, last)) if before else last)[:count]

        return frames

    @property
    def _overlap(self) -> int:
        """Number of frames that a chunk shares with the one before."""
        return self.job.run.sampling.num_conditional_frames

    @property
    def _known_frames(self) -> int:
        """Number of frames at the start of the present chunk that the one before has made."""
        return self._overlap if self.chunk else 0

    def save(self, solver: SolverState, step: int) -> None:
        """Write the run's state to its job's state file."""
        width, height = self.size
        nothing = np.zeros((0, height, width, 3), dtype=np.uint8)
        frames = np.concatenate(self.made) if self.made else nothing
        save_state(self.job.state, SavedState(self.chunk, step, solver, frames, self.tail), self.owners[0])

    def resume(self) -> tuple[SolverState, int] | None:
        """Restore the run's saved state; None if there is no valid one."""
        state = load_state(self.job.state, self.owners)
        if state is None or state.chunk >= len(self.starts) or state.step > self.steps:
            return None
        if state.solver.sample.shape[2:] != self.latent_size:
            return None
        self.chunk, self.made = state.chunk, [state.frames] if len(state.frames) else []
        self.tail = state.tail
        return state.solver, state.step

    def _before(self) -> Tensor | None:
        """Latents of the frames that it shares with the chunk before, on the CPU; None: there are none.

        They are 1 + (n - 1) // 4 latent frames of n shared ones, as NVIDIA has it
        (transfer2/inference/inference_pipeline.py): frames that fill no latent frame are not given.
        """
        if self.tail is None:
            return None
        temporal = self.model.vae.temporal
        whole = 1 + (self.tail.shape[2] - 1) // temporal * temporal
        return self.model.latents_of(self.tail[:, :, :whole]).float().cpu()

    def _source(self) -> ChunkSource | None:
        """Guided generation of the present chunk."""
        guided, frames = self.job.run.guided_generation, self.videos.source
        mask = self._mask(self.videos.guided_mask)
        if guided is None or frames is None or mask is None:
            return None
        return ChunkSource(self._encode(frames, SOURCE), mask, guided.step_threshold)

    def _control(self, control: Control) -> ChunkControl:
        latents = self._encode(self.videos.controls[control.name], control.name)
        return ChunkControl(latents, control.weight, self._mask(self.videos.masks[control.name]))

    def _mask(self, mask: Mask | None) -> Mask | None:
        """The present chunk's frames of a whole video's mask; past its end, the last one is repeated."""
        if mask is None:
            return None
        start = self.starts[self.chunk]
        return mask[np.minimum(np.arange(start, start + self.chunk_frames), len(mask) - 1)]

    def _encode(self, frames: Frames, name: str) -> Tensor:
        """Latents of the present chunk of a control video or of the input video."""
        return _encoded(self.model, frames, self.starts[self.chunk], self.chunk_frames, self.videos.contents[name])


def _chunk_frames(model: Model, run: ResolvedRun) -> int:
    return chunk_length(run.sampling.num_frames, model.settings.chunk_frames)


def _encoded(model: Model, frames: Frames, start: int, count: int, content: str) -> Tensor:
    """Latents of the chunk of a video that has `count` frames and begins at a frame."""
    return model.encode(chunk_of(frames, start, count), f"{content} {start} {count}")


def parts_of_start(model: Model, run: ResolvedRun, videos: Videos) -> Iterator[None]:
    """Encode a run's prompts and the first chunk of its videos, one per iteration; the model keeps them.

    Of a large video the prompts alone: to read them the host waits for the device, and after that the device for
    the host, which between two runs of few steps would be a good part of the time.
    """
    for prompt in run.prompts:
        model.network.read_prompt(prompt)
        yield
    if model.network.tokens(*latent_size(model, run)) > MAX_TOKENS:
        return
    for name, frames in videos.encoded.items():
        _encoded(model, frames, 0, _chunk_frames(model, run), videos.contents[name])
        yield


def latent_size(model: Model, run: ResolvedRun) -> tuple[int, int, int]:
    """Frames, height and width of the latents of a run's chunks."""
    frames = 1 + (_chunk_frames(model, run) - 1) // model.vae.temporal
    width, height = (side // model.vae.spatial for side in run_size(run))
    return frames, height, width
