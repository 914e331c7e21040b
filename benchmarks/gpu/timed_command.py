"""`python -m benchmarks.gpu.timed_command ...`: the cosmos-batch command, with the moments of its first run.

A line is added to the file that MOMENTS names for each part that ends: its name, and the time of the clock. The
module imports nothing that the command itself does not import.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import Deferred, Engine, EngineSource, Event, Job, Loaded, Session
from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice
from cosmos_batch.engines.wrappers import EngineWrapper, SessionWrapper
from cosmos_batch.planning.plan import Launch

MOMENTS = "COSMOS_BATCH_BENCHMARK_MOMENTS"
"""Environment variable with the name of the file."""

STARTED, READ, LOADED, OPENED, JOINED, STEPPED = PARTS = (
    "Python and imports",
    "reading the files of runs, planning",
    "importing PyTorch, base network, autoencoder",
    "branches",
    "first run's videos and texts",
    "first step",
)


def moment(name: str) -> None:
    """Note that a part has ended; the first time counts."""
    with Path(os.environ[MOMENTS]).open("a") as file:
        file.write(f"{name}\t{time.time()}\n")


class TimedSession(SessionWrapper):
    """A session that notes the first run's start and step."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._noted: set[str] = set()

    def join(self, job: Job) -> Iterable[Event]:
        """Add a run to the batch."""
        return self._note(JOINED, list(super().join(job)))

    def advance(self) -> Iterable[Event]:
        """Advance every active run by one step, and wait for the device."""
        return self._note(STEPPED, list(super().advance()))

    def _note(self, name: str, made: Sequence[Event]) -> Sequence[Event]:
        if name not in self._noted:
            self._noted.add(name)
            torch = sys.modules.get("torch")
            if torch is not None and torch.cuda.is_available():
                torch.cuda.synchronize()
            moment(name)
        return made


class TimedEngine(EngineWrapper):
    """An engine that notes when its branches are loaded."""

    def open(self, launch: Launch) -> Session:
        """Open a session for a launch."""
        session = super().open(launch)
        moment(OPENED)
        return TimedSession(session)


class TimedEngines(BuiltInEngines):
    """The engines of the command, which note their moments."""

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """The chosen engine, which is loaded when the first run needs it."""
        source = super().source(choice, controls)

        def load() -> Loaded:
            moment(READ)
            loaded = source.load()
            moment(LOADED)
            engine: Engine = TimedEngine(loaded.engine)
            return Loaded(engine, loaded.prior)

        return Deferred(source.traits, source.identity, load)


if __name__ == "__main__":
    moment(STARTED)
    main(TimedEngines())
