"""Tries videos on a card whose memory is limited, for `small_cards`."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.engines.base import Job, Outcome, Progress, Result
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.guardrail import NoGuardrail
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.engines.inprocess.options import Options
from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE
from cosmos_batch.engines.inprocess.vae.base import Vae
from cosmos_batch.engines.registry import cache_folder
from cosmos_batch.errors import EngineError, OutOfMemoryError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, ResolvedSampling

GIB = 2**30
SHARED = ("depth", "seg")
"""Controls that need a video; the input video is used."""

PARTS = ("text", "encode", "decode")
"""What is timed beside the steps: the prompts, and both ways through the autoencoder."""


@dataclass(frozen=True)
class VideoCase:
    """Size, controls and steps of one video."""

    width: int
    height: int
    frames: int
    controls: tuple[str, ...]
    steps: int

    def run(self, clip: Path, name: str) -> ResolvedRun:
        """A run with every setting filled in."""
        video = str(clip)
        controls = tuple(
            Control(name=control, weight=1 / len(self.controls), video=video if control in SHARED else None)  # type: ignore[arg-type]
            for control in self.controls
        )
        sampling = ResolvedSampling(
            num_steps=self.steps, guidance=3.0, sigma_max=200.0, seed=1, fps=24.0, num_frames=self.frames,
            resolution=f"{self.width}x{self.height}", negative_prompt=f"what is not wanted of {name}",
        )  # fmt: skip
        prompt = f"a street at dusk, {name}"
        return ResolvedRun(id=name, prompt=prompt, controls=controls, video=video, sampling=sampling)

    def predicted_bytes(self, options: Options) -> float:
        """Peak bytes of a step, by the shipped profile."""
        tokens = (1 + (self.frames - 1) // 4) * (self.width // 16) * (self.height // 16)
        cost = PROFILE.offloaded("h100", options.offload)
        return cost.peak_bytes(2 * tokens, len(self.controls), rows=2)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}, controls: {len(self.controls)}"


@dataclass
class VideoCost:
    """Memory and time of a video that succeeded."""

    peak: int = 0  # bytes
    step: float = 0.0  # seconds
    parts: dict[str, float] = field(default_factory=dict)  # seconds


class LimitedDevice:
    """The GPU with less memory, or the CPU, which has no limit."""

    def __init__(self) -> None:
        self.on_gpu = torch.cuda.is_available()

    def limit(self, card: int) -> None:
        """Limit PyTorch to the memory of a card of `card` GiB, after freeing what is not in use."""
        gc.collect()
        if not self.on_gpu:
            return
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        taken = (
            total - free - torch.cuda.memory_reserved()
        )  # by CUDA itself: its context and the kernels loaded so far
        torch.cuda.set_per_process_memory_fraction((card * GIB - taken) / total)
        torch.cuda.reset_peak_memory_stats()

    def now(self) -> float:
        """Seconds at the end of all work given to the device."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def held(self) -> int:
        """Bytes allocated by PyTorch."""
        return torch.cuda.memory_allocated() if self.on_gpu else 0

    def peak(self) -> int:
        """Peak of the bytes allocated by PyTorch since `limit`."""
        return torch.cuda.max_memory_allocated() if self.on_gpu else 0


class TimedVae:
    """An autoencoder whose time is counted, by part."""

    def __init__(self, vae: Vae, device: LimitedDevice) -> None:
        self.latent_channels = vae.latent_channels
        self.spatial = vae.spatial
        self.temporal = vae.temporal
        self.taken: dict[str, float] = {}  # seconds
        self._vae = vae
        self._device = device

    def encode(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> normalised latents [B, C, T, H, W]."""
        with timed("encode", self._device, self.taken):
            return self._vae.encode(video)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T, H, W] -> video [B, 3, F, height, width] in -1..1."""
        with timed("decode", self._device, self.taken):
            return self._vae.decode(latents)


@contextmanager
def timed(part: str, device: LimitedDevice, taken: dict[str, float]) -> Iterator[None]:
    """Add the seconds of the device's work to those of a part."""
    begin = device.now()
    yield
    taken[part] = taken.get(part, 0.0) + device.now() - begin


@dataclass
class CardTrial:
    """Makes videos on a limited device."""

    model: str
    folder: Path
    device: LimitedDevice = field(default_factory=LimitedDevice)
    attempts: int = 0

    def load(self, options: Options, cards: Sequence[int]) -> tuple[InProcessEngine, int] | None:
        """The engine and the smallest card on which it loads; None: it loads on none."""
        least = PROFILE.offloaded("h100", options.offload).model_bytes
        for card in cards:
            if self.device.on_gpu and card * GIB < least:
                continue
            self.device.limit(card)
            try:
                return self._engine(options), card
            except torch.OutOfMemoryError:
                print(f"does not load on {card} GiB", flush=True)
        return None

    def _engine(self, options: Options) -> InProcessEngine:
        cache = ControlCache(self.folder / "controls")
        engine = load_engine(
            self.model, TRANSFER_CONTROLS, cache, guardrail=NoGuardrail(), kept=cache_folder(), options=options
        )
        engine.model.vae = TimedVae(engine.model.vae, self.device)
        return engine

    def clip(self, case: VideoCase) -> Path:
        """A video of the case's size with moving bars; written once."""
        path = self.folder / f"{case.width}x{case.height}x{case.frames}.mp4"
        if not path.exists():
            across = np.arange(case.width)[None, None, :] + 4 * np.arange(case.frames)[:, None, None]
            bars = (across // 32 % 2 * 160 + 40).astype(np.uint8)
            video = np.broadcast_to(bars[..., None], (case.frames, case.height, case.width, 3))
            write_video(path, np.ascontiguousarray(video), 24.0)
        return path

    def attempt(self, engine: InProcessEngine, case: VideoCase, card: int) -> VideoCost | None:
        """Make one video on a card of `card` GiB; None: it ran out of memory."""
        self.attempts += 1
        run = case.run(self.clip(case), f"try-{self.attempts}")
        engine.model.forget()
        self.device.limit(card)
        cost: VideoCost | None
        try:
            cost = self._make(engine, run, case)
        except OutOfMemoryError:
            cost = None
        outcome = f"peak {cost.peak / GIB:.1f} GiB" if cost else "out of memory"
        print(f"{case} on {card} GiB: {outcome}", flush=True)
        return cost

    def _make(self, engine: InProcessEngine, run: ResolvedRun, case: VideoCase) -> VideoCost:
        shape = Shape(case.width, case.height, case.frames)
        launch = Launch(0, case.controls, (Batch((run,), shape, 0.0, 0),), 0.0, "a card's size")
        job = Job(run, self.folder / run.id, self.folder / f"{run.id}.safetensors")
        vae = engine.model.vae
        assert isinstance(vae, TimedVae)
        session = engine.open(launch)  # loads the branches, each of which reads the prompts
        try:
            vae.taken = parts = self._read_prompts(engine, run)
            events = list(session.join(job))
            step = 0.0
            while session.active:
                begin = self.device.now()
                for event in session.advance():
                    if isinstance(event, Progress):
                        step = self.device.now() - begin
                    events.append(event)
        finally:
            session.close()
        _check(events)
        return VideoCost(self.device.peak(), step, parts)

    def _read_prompts(self, engine: InProcessEngine, run: ResolvedRun) -> dict[str, float]:
        """Read the prompts of a run, which the model keeps for its steps. Raises OutOfMemoryError."""
        taken: dict[str, float] = {}
        try:
            with timed("text", self.device, taken):
                for prompt in (run.prompt, run.sampling.negative_prompt):
                    engine.model.within_memory(partial(engine.model.network.read_prompt, prompt))
        except torch.OutOfMemoryError as exc:
            raise OutOfMemoryError(str(exc)) from exc
        return taken


def _check(events: Sequence[object]) -> None:
    """Raise EngineError unless the video succeeded."""
    results = [event for event in events if isinstance(event, Result)]
    if [result.outcome for result in results] != [Outcome.SUCCEEDED]:
        raise EngineError(f"not made: {results}")
