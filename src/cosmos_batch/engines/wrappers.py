"""Wrappers: a session and an engine that forward every call, for classes that add to some of the calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cosmos_batch.engines.base import Engine, Event, Job, Session
from cosmos_batch.planning.plan import Launch
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import ResolvedRun


class SessionWrapper:
    """A session that forwards to another one; see `engines.base.Session`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the runs that have joined and not ended."""
        return self._session.active

    @property
    def finishing(self) -> tuple[str, ...]:
        """Ids of the active runs that no longer need the device; they may still crash the process."""
        return self._session.finishing

    def switch_launch(self, launch: Launch) -> None:
        """Continue with another launch."""
        self._session.switch_launch(launch)

    def prefetch(self, runs: Sequence[ResolvedRun], *, certain: bool = True) -> None:
        """Prefetch the files of the runs that join next."""
        self._session.prefetch(runs, certain=certain)

    def join(self, job: Job) -> Iterable[Event]:
        """Add a run to the batch."""
        return self._session.join(job)

    def advance(self) -> Iterable[Event]:
        """Advance every active run by one step."""
        return self._session.advance()

    def save(self, run_id: str) -> None:
        """Write the run's checkpoint."""
        self._session.save(run_id)

    def leave(self, run_id: str) -> None:
        """Remove the run from the batch."""
        self._session.leave(run_id)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class EngineWrapper:
    """An engine that forwards to another one; see `engines.base.Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def traits(self) -> Traits:
        """The engine's traits."""
        return self._engine.traits

    @property
    def identity(self) -> Mapping[str, str]:
        """The engine, model, weights and versions that make the videos."""
        return self._engine.identity

    def open(self, launch: Launch) -> Session:
        """Open a session for a launch."""
        return self._engine.open(launch)
