"""Calibration: short measurements of a model on this machine with random inputs, and the cost model that fits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.family import Chunk, ChunkControl, Network
from cosmos_batch.engines.inprocess.gpu.host_device import to_frames
from cosmos_batch.engines.inprocess.model_settings import ModelSettings
from cosmos_batch.engines.inprocess.sampling.batch import DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import MAX_TOKENS, WARMUP_STEPS
from cosmos_batch.engines.inprocess.sampling.samples import Conditioning
from cosmos_batch.engines.inprocess.vae.base import Vae
from cosmos_batch.planning.cost.fit import calibrated
from cosmos_batch.planning.cost.model import CostModel, Measurement, Work, features
from cosmos_batch.run import ResolvedSampling

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

_STEPS = 50  # of a probe's schedule; far more than are taken
_SIGMA_MAX = 200.0  # where its schedule starts; the cost of a step does not depend on it
_WARM = WARMUP_STEPS + 2  # steps after which a small step is replayed from its recording
_REPEAT_SECONDS = 0.6  # seconds of repeated measurements
_SLOW_STEPS = 6  # steps of a slow probe, in time, the first included


class CalibratedModel(Protocol):
    """The part of a loaded model that is measured."""

    vae: Vae
    network: Network
    dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        """The device of the latents."""

    @property
    def settings(self) -> ModelSettings:
        """Whether its runs are guided, and how many steps they have."""

    @property
    def controls(self) -> frozenset[str]:
        """The control branches that it has."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch of equal runs that is measured for a few steps."""

    width: int
    height: int
    frames: int  # of a chunk
    runs: int
    controls: int

    def latents(self, vae: Vae) -> tuple[int, int, int]:
        """Frames, height and width of its latents."""
        return 1 + (self.frames - 1) // vae.temporal, self.height // vae.spatial, self.width // vae.spatial

    def work(self, model: CalibratedModel) -> Work:
        """The cost of a step of one of its runs; pixels are counted where videos are encoded and decoded."""
        tokens = model.network.tokens(*self.latents(model.vae))
        return Work(
            steps=1, rows=2 if model.settings.guided else 1, tokens=tokens, controls=self.controls, pixels=0
        )


def probes(sizes: Iterable[tuple[int, int]], frames: int, controls: int) -> list[Probe]:
    """Probes that separate the coefficients of a cost model: sizes, 1 to 4 runs, and no, one or all controls."""
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    picked = [ordered[0], *ordered[1:-1][len(ordered) // 2 - 1 :][:1], *ordered[-1:]]
    kept = list(dict.fromkeys(picked))
    one = min(1, controls)
    wanted = [Probe(*size, frames, 1, one) for size in kept]
    wanted += [Probe(*kept[0], frames, runs, one) for runs in (2, 4)]
    wanted += [Probe(*size, frames, 1, count) for size in kept[:2] for count in {0, controls} - {one}]
    wanted += [Probe(*size, frames, 2, one) for size in kept[1:2]]
    return sorted(wanted, key=lambda probe: (probe.width * probe.height * probe.runs, probe.controls))


def calibrate(
    model: CalibratedModel,
    prior: CostModel,
    wanted: Sequence[Probe],
    *,
    seconds: float,
    write: Callable[[Frames], None],
    say: Callable[[str], None],
    clock: Callable[[], float] = time.perf_counter,
) -> CostModel:
    """Measure a model, and fit the coefficients of the prior to it.

    Args:
        model: a loaded model; the branches that probes use are loaded.
        prior: names engine and device, and holds what is not measured here (model loads, a batch's fixed time).
        wanted: probes from fast to slow; those that would overrun `seconds` are left out.
        seconds: about how long it may take.
        write: writes a video as a run's output is written. The time it takes counts where the host is the device:
            beside a GPU, it passes while others are denoised.
        say: called with a line for each probe.
        clock: a monotonic clock, in seconds.
    """
    begin = clock()
    meter = Meter(model, prior, write, clock)
    steps: list[Measurement] = []
    coding: list[Measurement] = []
    for probe in wanted:
        if clock() - begin + _expected(probe, model, prior, steps) > seconds:
            say(f"{_name(probe)}: left out, for it would take too long")
            continue
        size = (probe.width, probe.height)
        if size not in {(m.width, m.height) for m in meter.coded}:
            coding += meter.code(probe)
        steps.append(meter.steps(probe))
        say(f"{_name(probe)}: {steps[-1].seconds / steps[-1].steps:.4f} s a step")
    return calibrated(steps, coding, prior)


def use_once(model: CalibratedModel, prior: CostModel, probe: Probe) -> None:
    """Encode, denoise and decode a probe, so that everything that is compiled at its first use is compiled."""
    meter = Meter(model, prior, lambda _frames: None)
    meter.code(probe)
    meter.steps(probe)


def _name(probe: Probe) -> str:
    plural = "" if probe.runs == 1 else "s"
    return f"{probe.width}x{probe.height}, {probe.runs} run{plural}, controls: {probe.controls}"


def _expected(probe: Probe, model: CalibratedModel, prior: CostModel, before: Sequence[Measurement]) -> float:
    """Expected seconds of a probe: the prior's, scaled as the last probe compared with its prior."""
    work = probe.work(model)
    predicted = _SLOW_STEPS * probe.runs * prior.run_seconds(work)
    return (
        predicted * before[-1].seconds / max(prior.batch_seconds(before[-1]) - prior.batch, 1e-9)
        if before
        else predicted
    )


def _renew(batch: DenoisingBatch, conditionings: Mapping[str, Conditioning]) -> None:
    """Bring samples that are not in the batch, or have done all their steps, to their first step."""
    for key, conditioning in conditionings.items():
        if key in batch.keys:
            if not batch.done(key):
                continue
            batch.leave(key)
        batch.join(key, conditioning)


class Meter:
    """Takes measurements of one model."""

    def __init__(
        self,
        model: CalibratedModel,
        prior: CostModel,
        write: Callable[[Frames], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._prior = prior
        self._write = write
        self._clock = clock
        self.coded: list[Probe] = []

    def steps(self, probe: Probe) -> Measurement:
        """Measure some steps of a batch after its first ones, and the peak of the device's memory."""
        model = self._model
        self._reset()
        batch = DenoisingBatch(model.network.passes())
        conditionings = {str(index): self._conditioning(probe, index) for index in range(probe.runs)}

        def step() -> float:
            _renew(batch, conditionings)
            return self._timed(batch.step)

        work = probe.work(model)
        recorded = probe.runs * work.row_tokens <= MAX_TOKENS
        each = [step() for _ in range(_WARM if recorded else 2)][-1]
        count = min(20, max(2 if each < 2 else 1, math.ceil(_REPEAT_SECONDS / each)))
        taken = count * median(step() for _ in range(count))
        one = features([work] * probe.runs, len(model.network.loaded))
        return self._measurement(
            taken,
            self._peak(),
            runs=one.runs,
            branches=one.branches,
            steps=count,
            rows=one.rows,
            tokens=one.tokens,
            token_steps=one.token_steps * count,
            control_steps=one.control_steps * count,
            attention_steps=one.attention_steps * count,
        )

    @torch.no_grad()
    def code(self, probe: Probe) -> list[Measurement]:
        """Measure decoding a result, written too where the host is the device, and encoding a control video.

        The first measurement holds the peak of the device's memory over both.
        """
        model = self._model
        self.coded.append(probe)
        latents = self._latents(probe, 0).to(model.device)
        frames = to_frames(model.vae.decode(latents))  # also warms up
        pixels = torch.from_numpy(frames).to(model.device, model.dtype).permute(3, 0, 1, 2)[None] / 127.5 - 1
        del frames  # so that the next frames reuse their memory on the host; allocating takes long
        model.vae.encode(pixels)
        self._reset()

        def finish() -> None:
            frames = to_frames(model.vae.decode(latents))
            if model.device.type == "cpu":
                self._write(frames)

        size = probe.width * probe.height * probe.frames
        decoding = self._typical(finish)
        encoding = self._typical(lambda: model.vae.encode(pixels))
        of = {"branches": len(model.network.loaded), "frame": probe.width * probe.height}
        return [
            self._measurement(decoding, self._peak(), pixels=size, **of),
            self._measurement(encoding, control_pixels=size),
        ]

    def _measurement(self, taken: float, peak: int | None = None, **did: Any) -> Measurement:
        """A measurement of a batch with these features."""
        engine, device = self._prior.engine, self._prior.device
        return Measurement(engine=engine, device=device, kind="batch", seconds=taken, bytes=peak, **did)

    def _conditioning(self, probe: Probe, index: int) -> Conditioning:
        vae, latents = self._model.vae, self._latents(probe, index)
        controls = islice(sorted(self._model.controls), probe.controls)
        sampling = ResolvedSampling(
            num_steps=self._model.settings.most_steps or _STEPS,
            guidance=1.0 if self._model.settings.guided else 0.0,
            sigma_max=_SIGMA_MAX,
            seed=index,
            fps=24.0,
            num_frames=probe.frames,
            resolution=f"{probe.width}x{probe.height}",
            negative_prompt="",
        )
        chunk = Chunk(
            prompt=f"the cost of a step, {index}",
            sampling=sampling,
            controls={name: ChunkControl(latents, 1.0) for name in controls},
            index=0,
            shape=(vae.latent_channels, *probe.latents(vae)),
            spatial=vae.spatial,
            temporal=vae.temporal,
        )
        return self._model.network.conditioning(chunk)

    def _latents(self, probe: Probe, index: int) -> Tensor:
        """Random latents [1, C, T, H, W], on the CPU."""
        shape = (1, self._model.vae.latent_channels, *probe.latents(self._model.vae))
        return torch.randn(shape, generator=torch.Generator().manual_seed(index))

    def _typical(self, call: Callable[[], object]) -> float:
        """Seconds of a call: the median of several."""
        first = self._timed(call)
        more = min(5, math.ceil(_REPEAT_SECONDS / first) - 1)
        return median([first, *(self._timed(call) for _ in range(more))])

    def _timed(self, call: Callable[[], object]) -> float:
        """Seconds of a call, until the device has executed it."""
        begin = self._clock()
        call()
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)
        return self._clock() - begin

    def _reset(self) -> None:
        """Reset the peak of the device's memory, and free the recordings of other probes."""
        self._model.network.passes().forget()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._model.device)

    def _peak(self) -> int | None:
        return torch.cuda.max_memory_allocated(self._model.device) if self._model.device.type == "cuda" else None
