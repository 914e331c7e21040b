"""Runs, real small videos, and the stand-ins for NVIDIA's scripts, driven by the dispatcher as a command would."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Loaded
from cosmos_batch.engines.nvidia.config import Config
from cosmos_batch.engines.nvidia.engine import ScriptEngine
from cosmos_batch.engines.registry import profile
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import videos_of
from cosmos_batch.media.video import probe, read_frames
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Control, Run, Sampling
from tests.support.dispatch_world import EventRecorder

STANDINS = Path(__file__).with_name("standins")
Weights = Mapping[str, float]


@dataclass
class World:
    """A folder with everything in it that a command over the stand-ins needs."""

    root: Path
    engine: str = "transfer1"
    behaviour: dict[str, Any] = field(default_factory=dict)
    launcher: dict[str, Any] = field(default_factory=dict)
    silence: float = 60.0
    events: EventRecorder = field(default_factory=EventRecorder)

    def video(self, name: str, *, size: tuple[int, int] = (64, 36), frames: int = 2, shade: int = 128) -> str:
        """A small input video."""
        path = self.root / f"{name}.mp4"
        if not path.exists():
            write_video(path, np.full((frames, size[1], size[0], 3), shade, np.uint8), 8)
        return str(path)

    def run(self, run_id: str, prompt: str = "", *, weights: Weights | None = None, **settings: Any) -> Run:
        """A run over the video called "street", unless another is given; its prompt is its id unless given."""
        video = settings.pop("video", None) or self.video("street")
        controls = tuple(
            Control(name=name, weight=weight, video=settings.get("control_video"))  # type: ignore[arg-type]
            for name, weight in (weights or {"edge": 1.0}).items()
        )
        return Run(
            id=run_id, prompt=prompt or run_id, controls=controls, video=video, sampling=Sampling(**settings)
        )

    @property
    def config(self) -> Config:
        """The configuration of the stand-in."""
        (self.root / "behaviour.json").write_text(json.dumps({"diary": str(self.diary_file), **self.behaviour}))
        script = {
            "folder": str(STANDINS),
            "python": sys.executable,
            "environment": {"STANDIN": str(self.root / "behaviour.json")},
        }
        launcher = {"launcher": self.launcher} if self.launcher else {}
        return Config.model_validate({"script": script, "silence": self.silence, **launcher})

    @property
    def diary_file(self) -> Path:
        """The file to which the stand-ins write their diary."""
        return self.root / "diary.jsonl"

    def diary(self, kind: str) -> list[Any]:
        """The diary's entries of one kind: "start", "batch" or "death"."""
        lines = self.diary_file.read_text().splitlines() if self.diary_file.exists() else []
        return [line[kind] for line in map(json.loads, lines) if kind in line]

    def script(self) -> ScriptEngine:
        """The engine."""
        cache = ControlCache(self.root / "cache")
        return ScriptEngine(self.engine, self.config, cache, self.root / "scratch", poll_seconds=0.02)

    def make(
        self,
        runs: Sequence[Run],
        settings: DispatchSettings | None = None,
        *,
        before: Callable[[], object] = lambda: None,
    ) -> dict[str, RunStatus]:
        """Make the videos; how each run stands, by id. `before` is called when everything was planned for."""
        engine = self.script()
        facts = {path: probe(path) for run in runs for path in videos_of(run)}
        resolved = [resolve(run, engine.traits, facts) for run in runs]
        # Without a knee, tensor batches are as large as the table of the planner says: 8, 4, 2, 2.
        prior = replace(profile(self.engine, "h100"), knee_tokens=None, memory_bytes=None)
        command = Command(resolved, Loaded(engine, prior), facts, settings or DispatchSettings())
        before()
        try:
            with OutputDirectory(self.root / "out") as folder:
                statuses = execute(command, folder, self.events, self.events.stop)
        finally:
            engine.close()
        return {status.id: status for status in statuses}

    def shows(self, run: Run, weights: Sequence[float] | None = None, **changed: Any) -> bool:
        """Whether the run's output is the one that Transfer1's stand-in makes of just this run."""
        controls = sorted(control.name for control in run.active)
        weights = list(weights or [control.weight for control in run.active])
        assert run.video is not None
        content = hashlib.sha256(Path(run.video).read_bytes()).hexdigest()
        seed = run.sampling.seed if run.sampling.seed is not None else 42
        made_from = [changed.get("prompt", run.prompt), content, weights, controls, seed]
        wanted = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).digest()[:3]
        found = read_frames(self.root / "out" / run.id / "output.mp4", count=1)[0].mean(axis=(0, 1))
        return bool(np.abs(found - np.frombuffer(wanted, np.uint8)).max() < 12)


def states(statuses: Mapping[str, RunStatus]) -> dict[str, str]:
    """The state of every run."""
    return {id_: str(status.state) for id_, status in statuses.items()}


DONE, BLOCKED, FAILED = str(State.SUCCEEDED), str(State.BLOCKED), str(State.FAILED)
