"""The engine session: opened for a launch, switched to others, timed, closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from cosmos_batch.dispatch.contract import Noted, Outcome, SessionReady
from cosmos_batch.engines.base import Engine, Session
from cosmos_batch.errors import CosmosBatchError, EngineError, explain
from cosmos_batch.planning.plan import Launch

_T = TypeVar("_T")


class EngineSession:
    """The session of an engine, if one is open. Main thread only."""

    def __init__(
        self,
        engine: Engine,
        launched: Callable[[Launch], None],
        clock: Callable[[], float],
    ) -> None:
        """`launched` is called before the engine starts on a launch."""
        self._engine = engine
        self._launched = launched
        self._clock = clock
        self._session: Session | None = None

    @property
    def current(self) -> Session | None:
        """The open session."""
        return self._session

    def open(self, launch: Launch) -> SessionReady:
        """Open a session for a launch. Raises EngineError."""
        self._session, ready = self._start(launch, lambda: self._engine.open(launch))
        return ready

    def switch(self, session: Session, launch: Launch) -> SessionReady:
        """Make the open session ready for another launch. Raises EngineError."""
        return self._start(launch, lambda: session.switch_launch(launch))[1]

    def close(self) -> Iterator[Outcome]:
        """Close the session, if one is open."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception as exc:
                yield Noted(f"the engine did not close cleanly: {explain(exc)}")

    def _start(self, launch: Launch, start: Callable[[], _T]) -> tuple[_T, SessionReady]:
        """Call `start` and time it. Raises EngineError."""
        began = self._clock()
        self._launched(launch)
        try:
            made = start()
        except CosmosBatchError:
            raise
        except Exception as exc:
            raise EngineError(f"the engine {self._engine.traits.name} cannot start: {explain(exc)}") from exc
        return made, SessionReady(launch, self._clock() - began)
