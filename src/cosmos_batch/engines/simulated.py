"""An engine that acts out a script on a clock of its own: for simulation, and for tests of what drives engines.

Nothing in it is random and nothing waits, unless the clock does: the same script gives the same events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from cosmos_batch.engines.base import Event, Job, Outcome, Progress, Result
from cosmos_batch.errors import EngineError, OutOfMemoryError, StorageError
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Shape, Traits
from cosmos_batch.run import ResolvedRun


class Trouble(Enum):
    """What can go wrong with a run."""

    FAIL = auto()  # it fails, and trying again does not help
    FALTER = auto()  # it fails, and trying again may help
    BLOCK = auto()  # the guardrail refuses it
    BREAK = auto()  # the session raises, and takes the whole batch down
    VANISH = auto()  # the session forgets it without a word


@dataclass(frozen=True, slots=True)
class Fault:
    """Trouble that strikes a run when it has done so many steps; at 0 it strikes as the run joins."""

    trouble: Trouble
    step: int = 0
    times: int | None = None  # how often it strikes; None: every time


class Clock(Protocol):
    """Time that an engine can let pass."""

    def now(self) -> float:
        """Seconds, from any beginning."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""


class VirtualClock:
    """Time passes at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds that have passed."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds have passed."""
        self._now += seconds


Write = Callable[[Job, Shape], None]
"""Leaves the output of a finished run of that shape in the job's folder."""


@dataclass(frozen=True, slots=True)
class SimulatedBehaviour:
    """How the replay engine behaves."""

    write: Write
    load_seconds: float = 1.0
    step_seconds: Callable[[int], float] = lambda runs: 0.1 * runs  # by the number of runs in the batch
    max_runs: int | None = None  # runs that fit in memory together; None: any number
    lag: int = 0  # steps of others during which a run that has done its own is still being finished
    faults: Mapping[str, Fault] = field(default_factory=dict)  # by run id


class SimulatedEngine:
    """An engine for any traits that acts out a script."""

    def __init__(self, traits: Traits, script: SimulatedBehaviour, clock: Clock) -> None:
        self._traits = traits
        self._script = script
        self._clock = clock
        self._struck: dict[str, int] = {}  # how often each run's fault has struck

    @property
    def traits(self) -> Traits:
        """The traits that it was made with."""
        return self._traits

    @property
    def identity(self) -> Mapping[str, str]:
        """A name for every replay: no weights are in it."""
        return {"engine": "replay", "model": self._traits.name, "weights": "none"}

    def open(self, launch: Launch) -> SimulatedSession:
        """Let the time of a model load pass."""
        session = SimulatedSession(self._script, self._clock, self._traits, self._strikes)
        session.switch_launch(launch)
        return session

    def _strikes(self, run_id: str, step: int) -> Trouble | None:
        """The trouble that strikes a run now, counted."""
        fault = self._script.faults.get(run_id)
        struck = self._struck.get(run_id, 0)
        if fault is None or fault.step != step or (fault.times is not None and struck >= fault.times):
            return None
        self._struck[run_id] = struck + 1
        return fault.trouble


@dataclass(slots=True)
class _Place:
    job: Job
    step: int
    steps: int
    lag: int | None = None  # steps of others until it is finished; None: it has steps of its own to do


class SimulatedSession:
    """A launch of the replay engine."""

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
        self._strikes = strikes
        self._places: dict[str, _Place] = {}
        self._closed = False

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return tuple(self._places)

    @property
    def finishing(self) -> tuple[str, ...]:
        """Those of them that have done all their steps."""
        return tuple(run_id for run_id, place in self._places.items() if place.lag is not None)

    def switch_launch(self, launch: Launch) -> None:
        """Let the time of a model load pass."""
        self._clock.sleep(self._script.load_seconds)
        self._shapes |= {run.id: batch.shape for batch in launch.batches for run in batch.runs}

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Nothing of theirs is read."""

    def join(self, job: Job) -> Iterator[Event]:
        """Take a run in, at the step of its saved state if there is one."""
        self._require_open()
        place = _Place(job, _saved_step(job.state), job.run.sampling.num_steps or 1)
        self._places[job.run.id] = place
        yield from self._suffer(place) if place.step == 0 else ()

    def advance(self) -> Iterator[Event]:
        """Take every active run one step further. Raises OutOfMemoryError above what the script lets fit."""
        self._require_open()
        stepping = [place for place in self._places.values() if place.lag is None]
        if self._script.max_runs is not None and len(stepping) > self._script.max_runs:
            raise OutOfMemoryError(f"{len(stepping)} runs do not fit, {self._script.max_runs} would")
        yield from self._finished(waiting=not stepping)
        if stepping:
            self._clock.sleep(self._script.step_seconds(len(stepping)))
        for place in stepping:
            place.step += 1
            yield Progress(place.job.run.id, place.step, place.steps)
            yield from self._suffer(place)
            if place.step >= place.steps and place.job.run.id in self._places:
                if self._script.lag:
                    place.lag = self._script.lag
                else:
                    yield self._finish(place)

    def save(self, run_id: str) -> None:
        """Keep the number of steps done, of a run that is being finished without its last."""
        place = self._places[run_id]
        draft = place.job.state.with_suffix(".new")
        draft.write_text(json.dumps({"step": place.step if place.lag is None else place.steps - 1}))
        draft.replace(place.job.state)

    def leave(self, run_id: str) -> None:
        """Take the run out."""
        self._places.pop(run_id, None)

    def close(self) -> None:
        """Refuse everything from now on."""
        self._places.clear()
        self._closed = True

    def _shape(self, run: ResolvedRun) -> Shape:
        """As planned; of a run that joined later, what its settings say."""
        return self._shapes.get(run.id) or self._traits.shape(run, None)

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("the session is closed")

    def _finished(self, *, waiting: bool) -> Iterator[Event]:
        """The results of runs that were being finished for long enough; where all wait for that, of the first."""
        for place in [place for place in self._places.values() if place.lag is not None]:
            place.lag = 0 if waiting else (place.lag or 0) - 1
            if place.lag < 0 or waiting:
                yield self._finish_late(place)
            if waiting:
                return

    def _finish_late(self, place: _Place) -> Result:
        """What goes wrong concerns this run alone, whoever is at a step now. Raises StorageError."""
        try:
            return self._finish(place)
        except StorageError:
            raise
        except Exception as exc:
            self.leave(place.job.run.id)
            return Result(place.job.run.id, Outcome.FAILED, str(exc))

    def _finish(self, place: _Place) -> Result:
        run_id = place.job.run.id
        self._script.write(place.job, self._shape(place.job.run))
        self.leave(run_id)
        return Result(run_id, Outcome.SUCCEEDED)

    def _suffer(self, place: _Place) -> Iterator[Event]:
        run_id = place.job.run.id
        trouble = self._strikes(run_id, place.step)
        if trouble is None:
            return
        cause = f"scripted at step {place.step}"
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
