"""What a model costs on this machine: short measurements with random inputs, and the cost model they make."""

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

from cosmos_batch.engines.inprocess.gpu.host_device import to_frames
from cosmos_batch.engines.inprocess.sampling.batch import Conditioning, ControlInput, DenoisingBatch
from cosmos_batch.engines.inprocess.sampling.cuda_graphs import MOST_TOKENS, PATIENCE
from cosmos_batch.engines.inprocess.sampling.schedule import make_schedule
from cosmos_batch.engines.inprocess.transfer25.conditioning import noise, normalised
from cosmos_batch.engines.inprocess.transfer25.forward import Passes
from cosmos_batch.engines.inprocess.transfer25.transformer import Transformer
from cosmos_batch.engines.inprocess.vae.base import Vae
from cosmos_batch.planning.cost.fit import calibrated
from cosmos_batch.planning.cost.model import CostModel, Measurement, Work, features

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames

_STEPS = 50  # of a probe's schedule; far more than are taken
_WARM = PATIENCE + 2  # steps after which a small step is replayed from its recording
_LOOK = 0.6  # seconds for which the same is measured again
_TAKEN = 6  # steps of a slow probe, in time, the first included


class Rig(Protocol):
    """What is needed of a loaded model."""

    vae: Vae
    device: torch.device
    dtype: torch.dtype

    @property
    def base(self) -> Transformer:
        """The base network."""

    @property
    def controls(self) -> frozenset[str]:
        """The control branches that it has."""

    @property
    def loaded(self) -> tuple[str, ...]:
        """Those that are in memory."""

    def passes(self) -> Passes:
        """The network's pass over a batch."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch of equal runs that is measured for a few steps."""

    width: int
    height: int
    frames: int  # of a chunk
    runs: int
    controls: int

    def work(self, vae: Vae, patch: int) -> Work:
        """What one of its runs costs in a step; its pixels are counted where it is coded."""
        frames = 1 + (self.frames - 1) // vae.temporal
        tokens = frames * (self.height // vae.spatial // patch) * (self.width // vae.spatial // patch)
        return Work(steps=1, rows=2, tokens=tokens, controls=self.controls, pixels=0)


def probes(sizes: Iterable[tuple[int, int]], frames: int, controls: int) -> list[Probe]:
    """What tells the coefficients of a model apart: small to large, a few runs, no, one and all controls."""
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
    rig: Rig,
    prior: CostModel,
    wanted: Sequence[Probe],
    *,
    seconds: float,
    write: Callable[[Frames], None],
    say: Callable[[str], None],
    clock: Callable[[], float] = time.perf_counter,
) -> CostModel:
    """The prior with coefficients as they are measured now.

    Args:
        rig: a loaded model; the branches that probes use are loaded.
        prior: names engine and device, and holds what is not measured here (model loads, a batch's fixed time).
        wanted: from quick to slow; those that would overrun `seconds` are left out.
        seconds: how long it may take, about.
        write: writes a video as a run's output is written. The time it takes counts where the host is the device:
            beside a GPU, it passes while others are denoised.
        say: told a line for each probe.
        clock: seconds, ever rising.
    """
    begin = clock()
    meter = Meter(rig, prior, write, clock)
    steps: list[Measurement] = []
    coding: list[Measurement] = []
    for probe in wanted:
        if clock() - begin + _expected(probe, rig, prior, steps) > seconds:
            say(f"{_name(probe)}: left out, for it would take too long")
            continue
        size = (probe.width, probe.height)
        if size not in {(m.width, m.height) for m in meter.coded}:
            coding += meter.code(probe)
        steps.append(meter.steps(probe))
        say(f"{_name(probe)}: {steps[-1].seconds / steps[-1].steps:.4f} s a step")
    return calibrated(steps, coding, prior)


def _name(probe: Probe) -> str:
    plural = "" if probe.runs == 1 else "s"
    return f"{probe.width}x{probe.height}, {probe.runs} run{plural}, controls: {probe.controls}"


def _expected(probe: Probe, rig: Rig, prior: CostModel, before: Sequence[Measurement]) -> float:
    """Seconds that a probe may take: the prior's, as much slower or faster as the largest before it was."""
    work = probe.work(rig.vae, rig.base.config.patch)
    said = _TAKEN * probe.runs * prior.run_seconds(work)
    return said * before[-1].seconds / max(prior.batch_seconds(before[-1]) - prior.batch, 1e-9) if before else said


class Meter:
    """Takes measurements of one model."""

    def __init__(
        self,
        rig: Rig,
        prior: CostModel,
        write: Callable[[Frames], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._rig = rig
        self._prior = prior
        self._write = write
        self._clock = clock
        self.coded: list[Probe] = []

    def steps(self, probe: Probe) -> Measurement:
        """Some steps of a batch, after the first ones, and the peak of the device's memory."""
        rig = self._rig
        self._begin_anew()
        batch = DenoisingBatch(rig.passes())
        for index in range(probe.runs):
            batch.join(str(index), self._conditions(probe, index))
        work = probe.work(rig.vae, rig.base.config.patch)
        recorded = probe.runs * work.row_tokens <= MOST_TOKENS
        each = [self._timed(batch.step) for _ in range(_WARM if recorded else 2)][-1]
        count = min(20, max(2 if each < 2 else 1, math.ceil(_LOOK / each)))
        taken = count * median(self._timed(batch.step) for _ in range(count))
        one = features([work] * probe.runs, len(rig.loaded))
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
        """Decoding a result, and writing it where the host does all; and encoding a control video.

        The first has the peak of the device's memory over both.
        """
        rig = self._rig
        self.coded.append(probe)
        latents = self._latents(probe, 0).to(rig.device)
        frames = to_frames(rig.vae.decode(latents))  # also warms up
        pixels = torch.from_numpy(frames).to(rig.device, rig.dtype).permute(3, 0, 1, 2)[None] / 127.5 - 1
        del frames  # their memory on the host serves those that come next; new memory takes long to get
        rig.vae.encode(pixels)
        self._begin_anew()

        def finish() -> None:
            frames = to_frames(rig.vae.decode(latents))
            if rig.device.type == "cpu":
                self._write(frames)

        size = probe.width * probe.height * probe.frames
        decoding = self._typical(finish)
        encoding = self._typical(lambda: rig.vae.encode(pixels))
        of = {"branches": len(rig.loaded), "frame": probe.width * probe.height}
        return [
            self._measurement(decoding, self._peak(), pixels=size, **of),
            self._measurement(encoding, control_pixels=size),
        ]

    def _measurement(self, taken: float, peak: int | None = None, **did: Any) -> Measurement:
        """Of what has these features."""
        engine, device = self._prior.engine, self._prior.device
        return Measurement(engine=engine, device=device, kind="batch", seconds=taken, bytes=peak, **did)

    def _conditions(self, probe: Probe, index: int) -> Conditioning:
        latents = self._latents(probe, index)
        names = islice(sorted(self._rig.controls), probe.controls)
        weights = normalised({name: torch.tensor(1.0) for name in names})
        guides: Mapping[str, ControlInput] = {
            name: ControlInput(latents, weight) for name, weight in weights.items()
        }
        return Conditioning(
            schedule=make_schedule(_STEPS),
            guidance=1.0,
            prompt=f"what a step costs, {index}",
            negative="",
            guides=guides,
            known=torch.zeros(1, latents.shape[2]),
            given=torch.zeros_like(latents),
            noise=latents,
        )

    def _latents(self, probe: Probe, index: int) -> Tensor:
        vae = self._rig.vae
        frames = 1 + (probe.frames - 1) // vae.temporal
        return noise(
            index, 0, (vae.latent_channels, frames, probe.height // vae.spatial, probe.width // vae.spatial)
        )

    def _typical(self, call: Callable[[], object]) -> float:
        """Seconds of a call: the median of as many as are looked at."""
        first = self._timed(call)
        more = min(5, math.ceil(_LOOK / first) - 1)
        return median([first, *(self._timed(call) for _ in range(more))])

    def _timed(self, call: Callable[[], object]) -> float:
        """Seconds of a call, until the device is done with it."""
        begin = self._clock()
        call()
        if self._rig.device.type == "cuda":
            torch.cuda.synchronize(self._rig.device)
        return self._clock() - begin

    def _begin_anew(self) -> None:
        """Forget the peak of the device's memory, and free what other probes left there: recordings of steps."""
        self._rig.passes().forget()
        if self._rig.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._rig.device)

    def _peak(self) -> int | None:
        return torch.cuda.max_memory_allocated(self._rig.device) if self._rig.device.type == "cuda" else None
