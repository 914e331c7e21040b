"""Plans over small real videos, and the way back: what was written, read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cosmos_batch.controls import segmentation_prompt
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Sample
from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.formats import read_files
from cosmos_batch.media.info import VideoInfo, videos_of
from cosmos_batch.media.video import probe
from cosmos_batch.planning.equivalence import refusals_by_run
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Control, Run, Sampling

# A device on which large batches pay, and that is never full
ROOMY = replace(profile("transfer1", "h100"), knee_tokens=None, memory_bytes=None, batch=30.0, load=60.0)


def facts_of(runs: Sequence[Run]) -> dict[str, VideoInfo]:
    """The facts of every video of the runs."""
    return {path: probe(path) for run in runs for path in videos_of(run)}


def planned(runs: Sequence[Run], engine: str) -> Plan:
    """The plan of runs that the engine can do, resolved as a command would."""
    traits, facts = traits_of(engine), facts_of(runs)
    assert refusals_by_run(runs, traits, facts) == {}
    cost = ROOMY if engine == "transfer1" else profile(engine, "h100")
    return plan_runs([resolve(run, traits, facts) for run in runs], traits, cost, facts=facts)


def read_back(written: LaunchFiles, engine: str) -> list[Run]:
    """The runs that the written files say, resolved, without their ids."""
    reading = read_files(written.files)
    assert reading.problems == ()
    facts = facts_of(reading.runs)
    return [replace(resolve(run, traits_of(engine), facts), id="any") for run in reading.runs]


def as_written(sample: Sample, *, made: Sequence[str] = ()) -> Run:
    """The planned run as it must read back: inactive controls gone, made ones given, seg prompts spelled out."""
    run = sample.run
    controls = tuple(_as_written(control, run, sample, made) for control in run.active)
    return replace(run, id="any", priority=0, controls=controls)


def _as_written(control: Control, run: Run, sample: Sample, made: Sequence[str]) -> Control:
    if control.video is not None:
        return replace(control, preset="medium", prompt=None)
    if control.name in made:
        return replace(control, preset="medium", video=str(sample.controls[control.name]))
    if control.name == "seg":
        return replace(control, prompt=control.prompt or segmentation_prompt(run.prompt))
    return control


def fingerprints(runs: Sequence[Run]) -> list[str]:
    """Fingerprints of runs, which do not depend on their ids."""
    return [run.fingerprint for run in runs]


def run_of(id_: str, video: str, **weights: float) -> Run:
    """A run of seed 3 with these controls."""
    controls = tuple(Control(name=name, weight=weight) for name, weight in weights.items())  # type: ignore[arg-type]
    return Run(id=id_, prompt=f"prompt {id_}", video=video, controls=controls, sampling=Sampling(seed=3))


def records(written: LaunchFiles) -> list[dict[str, Any]]:
    """The records of the first file of a launch."""
    return [json.loads(line) for line in written.files[0].read_text().splitlines()]
