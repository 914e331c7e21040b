"""Runs for tests, resolved without reading a video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from cosmos_batch.planning.resolve import with_sampling
from cosmos_batch.run import DEFAULTS, ResolvedRun, ResolvedSampling, Run, Sampling

MakeRun = Callable[..., Run]
"""Makes a run: `make_run("edge", "depth", seed=7)`, a fixture of all tests."""
_SIZE = Sampling(resolution="64x32", num_frames=9, num_conditional_frames=1)


def resolved(run: Run) -> ResolvedRun:
    """The run with what it leaves open filled in: 9 frames of 64 x 32 at 8 frames per second, and `DEFAULTS`."""
    return with_sampling(run, ResolvedSampling(**asdict(run.sampling.over(DEFAULTS).over(_SIZE))))
