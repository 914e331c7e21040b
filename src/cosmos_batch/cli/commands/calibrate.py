"""`cosmos-batch calibrate`: measure time and memory of a model on this machine, and keep the profile."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from cosmos_batch.cli.options import IN_PROCESS_ENGINES
from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.text import safe
from cosmos_batch.engines.base import Calibrated
from cosmos_batch.engines.profile_store import keep_profile
from cosmos_batch.engines.registry import EngineChoice, Engines, device_of, profile_folder, shipped
from cosmos_batch.errors import PlanError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames
from cosmos_batch.planning.cost.model import CostModel


def calibrate_command(engines: Engines, choice: EngineChoice, seconds: float) -> int:
    """Measure, keep the profile, and print it; returns the exit code. Raises CosmosBatchError."""
    loaded = engines.load(choice, sorted(engines.preview(choice).traits.controls))
    if not isinstance(loaded.engine, Calibrated):
        raise PlanError(f"engine {choice.name!r} cannot be calibrated; {' and '.join(IN_PROCESS_ENGINES)} can")
    start = shipped(choice, device_of(loaded.engine))
    out = console()
    out.print(f"{choice.name} on {start.device}: at most about {seconds:.0f} s", highlight=False)
    with tempfile.TemporaryDirectory() as scratch:

        def write(frames: Frames) -> None:
            write_video(Path(scratch) / "video.mp4", frames, 24.0)

        measured = loaded.engine.calibrated(
            start, seconds=seconds, write=write, say=lambda line: out.print(line, highlight=False)
        )
    if not measured.measured:
        raise PlanError(f"nothing could be measured within {seconds:.0f} s; give more with --seconds")
    file = keep_profile(
        profile_folder(), replace(measured, memory_bytes=loaded.prior.memory_bytes), choice.options.words
    )
    out.print(_summary(measured), highlight=False)
    out.print(f"kept in {safe(str(file))}", highlight=False)
    return 0


def _summary(cost: CostModel) -> str:
    knee = "not known" if cost.knee_tokens is None else f"{cost.knee_tokens:,} tokens"
    error = "not known" if cost.error is None else f"{cost.error:.1%}"
    return f"a forward pass is full at {knee}; the measurements themselves are met within {error} (median)"
