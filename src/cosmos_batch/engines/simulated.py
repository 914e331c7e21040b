"""A simulated engine: it plays a scripted behaviour on a clock of its own, for simulations and tests of dispatch.

Nothing in it is random, and nothing waits unless the clock does: the same behaviour gives the same events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result
from cosmos_batch.errors import EngineError, OutOfMemoryError, StorageError
from cosmos_batch.media.video import probe
from cosmos_batch.planning.batch_keys import leading_video
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import ResolvedRun


class Trouble(Enum):
    """Kinds of faults."""

    FAIL = auto()  # the run fails, and a retry does not help
    FALTER = auto()  # the run fails, and a retry may help
    BLOCK = auto()  # the guardrail refuses the run
    BREAK = auto()  # the session raises, and the whole batch fails
    VANISH = auto()  # the session loses the run without a result


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a run, when it has done so many steps; at 0 it occurs as the run joins."""

    trouble: Trouble
    step: int = 0
    times: int | None = None  # how often it occurs; None: every time


class Clock(Protocol):
    """A clock that an engine can advance."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""


class RealClock:
    """The time of this machine."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)


class VirtualClock:
    """A clock whose waits take no time."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds that were waited for."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance by so many seconds."""
        self._now += seconds


Write = Callable[[Job, Shape], None]
"""Writes the output of a finished run, of that size and length, into the job's folder."""


@dataclass(frozen=True, slots=True)
class SimulatedBehaviour:
    """Behaviour of the simulated engine."""

    write: Write
    load_seconds: float = 1.0
    step_seconds: Callable[[int], float] = lambda runs: 0.1 * runs  # by the number of runs in the batch
    max_runs: int | None = None  # runs that fit in memory together; None: any number
    lag: int = 0  # steps of other runs for which a run is being finished after its last step
    faults: Mapping[str, Fault] = field(default_factory=dict)  # by run id


class SimulatedEngine:
    """An engine of any traits that plays a scripted behaviour."""

    def __init__(self, traits: Traits, script: SimulatedBehaviour, clock: Clock) -> None:
        self._traits = traits
        self._script = script
        self._clock = clock
        self._occurrences: dict[str, int] = {}  # how often each run's fault has occurred

    @property
    def traits(self) -> Traits:
        """The given traits."""
        return self._traits

    @property
    def identity(self) -> Mapping[str, str]:
        """The identity of all simulated engines: they have no weights."""
        return {"engine": "replay", "model": self._traits.name, "weights": "none"}

    def open(self, launch: Launch) -> SimulatedSession:
        """Wait for the time of a model load."""
        session = SimulatedSession(self._script, self._clock, self._traits, self._fault_at)
        session.switch_launch(launch)
        return session

    def _fault_at(self, run_id: str, step: int) -> Trouble | None:
        """The fault of a run that occurs now; it is counted."""
        fault = self._script.faults.get(run_id)
        occurred = self._occurrences.get(run_id, 0)
        if fault is None or fault.step != step or (fault.times is not None and occurred >= fault.times):
            return None
        self._occurrences[run_id] = occurred + 1
        return fault.trouble


@dataclass(slots=True)
class _ActiveRun:
    job: Job
    step: int
    steps: int
    lag: int | None = None  # steps of other runs until it is finished; None: it has steps left


class SimulatedSession:
    """A session of the simulated engine."""

    def __init__(
        self,
        script: SimulatedBehaviour,
        clock: Clock,
        traits: Traits,
        strikes: Callable[[str, int], Trouble | None],
    ) -> None:
        self._script = script
        self._clock = clock
        self._traits = traits
        self._shapes: dict[str, Shape] = {}
        self._fault_at = strikes
        self._active: dict[str, _ActiveRun] = {}
        self._closed = False

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return tuple(self._active)

    @property
    def finishing(self) -> tuple[str, ...]:
        """Ids of active runs that have done all their steps."""
        return tuple(run_id for run_id, active in self._active.items() if active.lag is not None)

    def switch_launch(self, launch: Launch) -> None:
        """Wait for the time of a model load."""
        self._clock.sleep(self._script.load_seconds)
        self._shapes |= {run.id: batch.shape for batch in launch.batches for run in batch.runs}

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Read nothing."""

    def join(self, job: Job) -> Iterator[Event]:
        """Add a run, at the step of its saved state if there is one."""
        self._require_open()
        active = _ActiveRun(job, _saved_step(job.state), job.run.sampling.num_steps or 1)
        self._active[job.run.id] = active
        yield from self._apply_fault(active) if active.step == 0 else ()

    def advance(self) -> Iterator[Event]:
        """Take every active run one step further. Raises OutOfMemoryError for more runs than fit."""
        self._require_open()
        stepping = [active for active in self._active.values() if active.lag is None]
        if self._script.max_runs is not None and len(stepping) > self._script.max_runs:
            raise OutOfMemoryError(f"{len(stepping)} runs do not fit, {self._script.max_runs} would")
        yield from self._finished(waiting=not stepping)
        if stepping:
            self._clock.sleep(self._script.step_seconds(len(stepping)))
        for active in stepping:
            active.step += 1
            yield Progress(active.job.run.id, active.step, active.steps)
            yield from self._apply_fault(active)
            if active.step >= active.steps and active.job.run.id in self._active:
                if self._script.lag:
                    active.lag = self._script.lag
                else:
                    yield self._finish(active)

    def save(self, run_id: str) -> None:
        """Save the number of steps done; of a run that is being finished, one less."""
        active = self._active[run_id]
        draft = active.job.state.with_suffix(".new")
        draft.write_text(json.dumps({"step": active.step if active.lag is None else active.steps - 1}))
        draft.replace(active.job.state)

    def leave(self, run_id: str) -> None:
        """Remove the run."""
        self._active.pop(run_id, None)

    def close(self) -> None:
        """Refuse all further calls."""
        self._active.clear()
        self._closed = True

    def _shape(self, run: ResolvedRun) -> Shape:
        """The shape of the finished video: as planned, of its settings if it joined later, or of its input's size.

        Raises MediaError if a run keeps the size of an input that cannot be read.
        """
        lead = leading_video(run) if run.sampling.keep_input_resolution else None
        if lead is not None:
            return self._traits.finished(run, probe(lead))
        return self._shapes.get(run.id) or self._traits.shape(run, None)

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("the session is closed")

    def _finished(self, *, waiting: bool) -> Iterator[Event]:
        """Results of the runs whose lag has passed; where no run is denoised, of the first one."""
        for active in [active for active in self._active.values() if active.lag is not None]:
            active.lag = 0 if waiting else (active.lag or 0) - 1
            if active.lag < 0 or waiting:
                yield self._finish_late(active)
            if waiting:
                return

    def _finish_late(self, active: _ActiveRun) -> Result:
        """Finish a run; an error concerns this run alone. Raises StorageError."""
        try:
            return self._finish(active)
        except StorageError:
            raise
        except Exception as exc:
            self.leave(active.job.run.id)
            return Result(active.job.run.id, Outcome.FAILED, str(exc))

    def _finish(self, active: _ActiveRun) -> Result:
        run_id = active.job.run.id
        self._script.write(active.job, self._shape(active.job.run))
        self.leave(run_id)
        return Result(run_id, Outcome.SUCCEEDED)

    def _apply_fault(self, active: _ActiveRun) -> Iterator[Event]:
        run_id = active.job.run.id
        trouble = self._fault_at(run_id, active.step)
        if trouble is None:
            return
        cause = f"scripted at step {active.step}"
        if trouble is Trouble.BREAK:
            raise EngineError(f"{cause}: the session breaks")
        self.leave(run_id)
        if trouble is not Trouble.VANISH:
            outcome = Outcome.BLOCKED if trouble is Trouble.BLOCK else Outcome.FAILED
            yield Result(run_id, outcome, cause, retryable=trouble is Trouble.FALTER)


def _saved_step(state: Path) -> int:
    try:
        return int(json.loads(state.read_text())["step"])
    except FileNotFoundError:
        return 0
