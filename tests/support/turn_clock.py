"""Virtual time of several threads, of which one runs at a time, so that they always meet in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from threading import Condition, Thread, get_ident

from tests.support.service_world import EventClock


class TurnClock(EventClock):
    """A thread that sleeps lets the one go on that wakes first; of equals the one that was given first."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[int, int] = {}  # of the threads
        self._wakes: list[tuple[float, int]] = []  # when each thread that sleeps goes on
        self._turn: int | None = None  # number of the thread that runs
        self._changed = Condition()

    def sleep(self, seconds: float) -> None:
        """Let the others go on until it is this thread's time."""
        number = self._numbers[get_ident()]
        with self._changed:
            heappush(self._wakes, (self.time + seconds, number))
            self._pass_on()
            self._changed.wait_for(lambda: self._turn == number)

    def run(self, actions: Sequence[Callable[[], object]]) -> None:
        """Run actions in a thread each until all have ended. Raises the first error."""
        errors: list[BaseException] = []
        threads = [Thread(target=self._run, args=(number, act, errors)) for number, act in enumerate(actions)]
        self._wakes = [(self.time, number) for number in range(len(actions))]
        for thread in threads:
            thread.start()
        with self._changed:
            self._pass_on()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _run(self, number: int, act: Callable[[], object], errors: list[BaseException]) -> None:
        self._numbers[get_ident()] = number
        with self._changed:
            self._changed.wait_for(lambda: self._turn == number)
        try:
            act()
        except BaseException as exc:
            errors.append(exc)
        with self._changed:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the thread that wakes first go on, once what was planned before has happened."""
        self._turn = None
        if self._wakes:
            until, number = heappop(self._wakes)
            super().sleep(until - self.time)
            self._turn = number
        self._changed.notify_all()
