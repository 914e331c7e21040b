"""NVIDIA's distilled edge model in its Transfer2.5 script: `--model=edge/distilled`.

The script hides its checkpoint unless COSMOS_EXPERIMENTAL_CHECKPOINTS is 1 (cosmos_transfer2/config.py, line 165).
The model makes at most four steps, reads no guidance, and was trained on videos of 93 frames (docs/inference.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.engines.nvidia.transfer25.script import SCRIPT as GENERAL
from cosmos_batch.engines.nvidia.transfer25.traits import CHUNK_FRAMES, TRANSFER25_SCRIPT
from cosmos_batch.engines.resolutions import frames_of
from cosmos_batch.errors import Problem
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Notice, VideoInfo
from cosmos_batch.run import Run, Sampling

if TYPE_CHECKING:
    from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, Stage
    from cosmos_batch.media.controls.cache import ControlCache

_STEPS = 4
_GENERAL = "choose the engine transfer25"


def _objections(run: Run, facts: VideoInfo | None) -> tuple[Problem, ...]:
    found = TRANSFER25_SCRIPT.objections(run, facts)
    steps = run.sampling.num_steps
    if steps is None or steps <= _STEPS:
        return found
    message = f"the distilled model takes 1 to {_STEPS} steps"
    return (*found, Problem("", None, "num_steps", str(steps), message, f"say {_STEPS}, or {_GENERAL}"))


def _notices(run: Run, facts: VideoInfo | None) -> Iterator[Notice]:
    guidance, frames = run.sampling.guidance, frames_of(run, facts, CHUNK_FRAMES)
    if guidance:
        message = "has no effect: the distilled model has no guidance"
        yield Notice("guidance", guidance, message, f"leave it out, or {_GENERAL}")
    if frames > CHUNK_FRAMES:
        message = f"is more than {CHUNK_FRAMES}: the distilled model was not trained to go on from earlier frames"
        yield Notice("num_frames", frames, message, f"ask for at most {CHUNK_FRAMES} frames, or {_GENERAL}")


TRAITS = replace(
    TRANSFER25_SCRIPT,
    name=f"{TRANSFER25_SCRIPT.name}-distilled",
    controls=frozenset({"edge"}),
    guided_generation=False,  # its sampling loop is another one, which does not read the mask
    defaults=replace(TRANSFER25_SCRIPT.defaults, num_steps=_STEPS),
    fixed=Sampling(guidance=0.0),
    own=frozenset({"num_steps", "guidance"}),
    objections=_objections,
    notices=lambda run, facts: tuple(_notices(run, facts)),
)


def _write(launch: Launch, folder: Path, cache: ControlCache, stage: Stage) -> LaunchFiles:
    files = GENERAL.write(launch, folder, cache, stage)
    return replace(files, arguments=(*files.arguments, "--model=edge/distilled"))


SCRIPT = replace(
    GENERAL,
    traits=TRAITS,
    profile=replace(GENERAL.profile, cost=replace(GENERAL.profile.cost, engine=TRAITS.name)),
    write=_write,
    table=GENERAL.name,
    environment={"COSMOS_EXPERIMENTAL_CHECKPOINTS": "1"},
)
