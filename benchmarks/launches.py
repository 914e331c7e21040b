"""Seconds of runs with as few model loads as possible, against a launch per 8 runs and a launch per run.

    python -m benchmarks.launches [--scale 0.01] [--runs 100]

Transfer1, a model load of 120 s and 60 s a video: 100 edge-only runs, and 100 runs over all 15 sets of the four
controls. Three figures for every grouping: predicted by the plan; simulated by the dispatcher on a virtual clock;
and measured, with the stand-in for NVIDIA's script as a real process whose times are scaled down, and scaled up
again here. The measured figure includes the dispatcher's own work at its real speed: the smaller the scale, the
larger that share. The stand-in does not draw; it sleeps and copies a finished video.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from cosmos_batch.controls import TRANSFER_CONTROLS
from cosmos_batch.dispatch.command import Command, check_output, execute
from cosmos_batch.dispatch.output.directory import OUTPUT, OutputDirectory
from cosmos_batch.dispatch.settings import StopToken
from cosmos_batch.engines.base import Engine, Job, Loaded
from cosmos_batch.engines.nvidia.config import Config
from cosmos_batch.engines.nvidia.engine import ScriptEngine
from cosmos_batch.engines.registry import traits_of
from cosmos_batch.engines.simulated import SimulatedBehaviour, SimulatedEngine, VirtualClock
from cosmos_batch.ledger import State
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling
from tests.support.dispatch_world import EventRecorder

LOAD, EACH = 120.0, 60.0  # seconds
STEPS = 35
FACTS = VideoInfo(width=1280, height=704, frames=2, fps=8.0)
STANDINS = Path(__file__).parents[1] / "tests" / "support" / "standins"
SETS = [names for count in range(1, 5) for names in combinations(TRANSFER_CONTROLS, count)]
COST = replace(
    CostModel.free("transfer1", "stand-in"), load=LOAD, pixel=EACH / (FACTS.width * FACTS.height * FACTS.frames)
)


@dataclass(frozen=True)
class Grouping:
    """Runs, and the launches that they allow."""

    name: str
    runs: Sequence[ResolvedRun]
    bound: float  # seconds of its model loads and its denoising alone


def make_runs(count: int, video: Path, sets: Sequence[tuple[str, ...]], together: int = 0) -> list[ResolvedRun]:
    """Resolved runs over these control sets in turn, with every control video given.

    `together`: how many may share a launch, 0 for any number. The others differ in their negative prompt, which
    Transfer1 holds fixed for a process.
    """
    traits = traits_of("transfer1")
    runs = []
    for number in range(count):
        controls = tuple(
            Control(name=name, weight=1.0, video=str(video))  # type: ignore[arg-type]
            for name in sets[number % len(sets)]
        )
        run = Run(
            id=f"run_{number:03}",
            prompt=f"a street, take {number}",
            controls=controls,
            video=str(video),
            sampling=Sampling(negative_prompt=f"reel {number // together if together else 0}"),
        )
        runs.append(resolve(run, traits, {str(video): FACTS}))
    return runs


def predicted(grouping: Grouping, video: Path) -> float:
    """Seconds by the plan."""
    return plan_runs(grouping.runs, traits_of("transfer1"), COST, facts={str(video): FACTS}).seconds


def execute_runs(
    grouping: Grouping, engine: Engine, video: Path, folder: Path, check: Callable[..., None]
) -> None:
    """Execute all runs in one command."""
    command = Command(grouping.runs, Loaded(engine, COST), {str(video): FACTS})
    with OutputDirectory(folder) as place:
        statuses = execute(command, place, EventRecorder(), StopToken(), check)
    assert [status.state for status in statuses] == [State.SUCCEEDED] * len(grouping.runs)


def simulated(grouping: Grouping, video: Path, folder: Path) -> float:
    """Seconds of a virtual clock, with the dispatcher and the simulated engine."""
    clock = VirtualClock()

    def write(job: Job, _: Shape) -> None:
        (job.folder / OUTPUT).write_bytes(b"")

    script = SimulatedBehaviour(write=write, load_seconds=LOAD, step_seconds=lambda runs: EACH * runs / STEPS)
    engine = SimulatedEngine(traits_of("transfer1"), script, clock)
    execute_runs(grouping, engine, video, folder, lambda *_: None)
    return clock.now()


def measured(grouping: Grouping, video: Path, folder: Path, scale: float) -> float:
    """Seconds with the stand-in as a process, scaled up again."""
    folder.mkdir()
    templates = video.parent / "templates"
    templates.mkdir(exist_ok=True)
    behaviour = folder / "behaviour.json"
    behaviour.write_text(json.dumps({"load": LOAD * scale, "each": EACH * scale, "templates": str(templates)}))
    script = {"folder": str(STANDINS), "python": sys.executable, "environment": {"STANDIN": str(behaviour)}}
    config = Config.model_validate({"script": script})
    engine = ScriptEngine(
        "transfer1", config, ControlCache(folder / "cache"), folder / "scratch", poll_seconds=0.02
    )
    started = time.monotonic()
    execute_runs(grouping, engine, video, folder / "out", check_output)
    return (time.monotonic() - started) / scale


def groupings(count: int, video: Path) -> list[Grouping]:
    """The groupings that are compared."""
    edge, work = [("edge",)], EACH * count
    return [
        Grouping("edge only, cosmos-batch", make_runs(count, video, edge), LOAD + work),
        Grouping("edge only, a launch per 8 runs", make_runs(count, video, edge, 8), LOAD * -(-count // 8) + work),
        Grouping("edge only, a launch per run", make_runs(count, video, edge, 1), LOAD * count + work),
        Grouping(
            "15 control sets, cosmos-batch", make_runs(count, video, SETS), LOAD * min(len(SETS), count) + work
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=0.01, help="of the stand-in's times")
    parser.add_argument("--runs", type=int, default=100)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        video = root / "street.mp4"
        write_video(video, np.full((FACTS.frames, FACTS.height, FACTS.width, 3), 128, np.uint8), FACTS.fps)
        measured(Grouping("", make_runs(1, video, [("edge",)]), 0), video, root / "warm", args.scale)
        print(f"{'seconds':32}{'bound':>8}{'predicted':>11}{'simulated':>11}{'measured':>10}{'over bound':>12}")
        first: tuple[float, ...] = ()
        for number, grouping in enumerate(groupings(args.runs, video)):
            plan = predicted(grouping, video)
            virtual = simulated(grouping, video, root / f"simulated{number}")
            real = measured(grouping, video, root / f"real{number}", args.scale)
            row = (
                f"{grouping.name:32}{grouping.bound:8.0f}{plan:11.0f}{virtual:11.0f}{real:10.0f}"
                f"{real / grouping.bound - 1:12.1%}"
            )
            first = first or (plan, real)
            against = f"   {plan / first[0]:.2f}x the first by plan, {real / first[1]:.2f}x measured"
            print(row + (against if number in (1, 2) else ""), flush=True)


if __name__ == "__main__":
    main()
