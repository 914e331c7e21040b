"""Failures of machines, and reclaims of spot machines, at random times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Protocol

from cosmos_batch.simulation.fleet.device import RunningSlot
from cosmos_batch.simulation.fleet.worker import SimulatedWorker
from cosmos_batch.simulation.records import Records
from cosmos_batch.simulation.settings import Machines, SimulationSettings


class FailingFleet(Protocol):
    """What happens to a fleet whose machines fail, and what is known of it."""

    @property
    def now(self) -> float:
        """The virtual time."""

    @property
    def machines(self) -> Machines:
        """The machines, and how they fail."""

    @property
    def settings(self) -> SimulationSettings:
        """Settings of the simulation."""

    @property
    def records(self) -> Records:
        """What has happened."""

    @property
    def workers(self) -> Sequence[SimulatedWorker]:
        """All workers, machine by machine."""

    def plan_failure(self, when: float, number: int) -> None:
        """Let the failure of that number happen at a time."""

    def stop(self, worker: SimulatedWorker, now: float, *, saved: bool) -> list[tuple[RunningSlot, int]]:
        """End a worker's process on a machine that goes; return its runs with the steps of their checkpoints."""

    def restart(self, worker: SimulatedWorker, now: float) -> None:
        """Begin a worker's process on a machine that came back."""

    def requeue(self, slot: RunningSlot, done: int) -> None:
        """Let a run wait again, with so many denoising steps in its checkpoint."""


class _Event(Enum):
    FAILURE = auto()  # the runs wait again when their leases have run out
    RECLAIM = auto()  # its notice: the runs are saved and wait again at once
    RETURN = auto()
    LEASES = auto()  # of the runs of a machine that failed


@dataclass(frozen=True, slots=True)
class _Planned:
    event: _Event
    machine: int
    runs: tuple[tuple[RunningSlot, int], ...] = ()  # with the steps of their checkpoints


class FailureEvents:
    """Plans and carries out what happens to machines. Times between failures are exponential."""

    def __init__(self, fleet: FailingFleet, gpus: int, dice: Random) -> None:
        self._fleet = fleet
        self._dice = dice
        self._gpus = gpus
        self._planned: dict[int, _Planned] = {}
        self._number = 0
        each = fleet.machines.gpus_each
        machines = -(-gpus // each)
        self._spot = round(machines * fleet.machines.spot_share)  # machines with a lower number may be reclaimed
        for machine in range(machines):
            self._plan_next(machine)

    def happen(self, number: int, now: float) -> None:
        """Carry out what was planned under a number."""
        planned, totals = self._planned.pop(number), self._fleet.records.totals
        machines = self._fleet.machines
        match planned.event:
            case _Event.FAILURE:
                if self._up(planned.machine):
                    totals.machine_failures += 1
                    runs = self._stop(planned.machine, now, saved=False)
                    self._plan(now + self._fleet.settings.lease, _Planned(_Event.LEASES, planned.machine, runs))
                    self._plan(now + machines.repair, _Planned(_Event.RETURN, planned.machine))
            case _Event.RECLAIM:
                if self._up(planned.machine):
                    totals.reclaims += 1
                    runs = self._stop(planned.machine, now, saved=machines.notice > 0)
                    wait = 0.0 if machines.notice > 0 else self._fleet.settings.lease
                    self._plan(now + wait, _Planned(_Event.LEASES, planned.machine, runs))
                    self._plan(now + machines.notice + machines.away, _Planned(_Event.RETURN, planned.machine))
            case _Event.RETURN:
                for worker in self._workers(planned.machine):
                    self._fleet.restart(self._fleet.workers[worker], now)
                self._plan_next(planned.machine)
            case _Event.LEASES:
                for slot, done in planned.runs:
                    self._fleet.requeue(slot, done)

    def _plan_next(self, machine: int) -> None:
        machines, now = self._fleet.machines, self._fleet.now
        hours = [(machines.failure_hours, _Event.FAILURE)]
        if machine < self._spot:
            hours.append((machines.reclaim_hours, _Event.RECLAIM))
        found = [
            (self._dice.expovariate(1.0 / (3600.0 * mean)), event.value, event) for mean, event in hours if mean
        ]
        if found:
            seconds, _, event = min(found)
            self._plan(now + seconds, _Planned(event, machine))

    def _plan(self, when: float, planned: _Planned) -> None:
        self._planned[self._number] = planned
        self._fleet.plan_failure(when, self._number)
        self._number += 1

    def _workers(self, machine: int) -> range:
        each = self._fleet.machines.gpus_each
        return range(machine * each, min((machine + 1) * each, self._gpus))

    def _up(self, machine: int) -> bool:
        return any(self._fleet.workers[worker].alive for worker in self._workers(machine))

    def _stop(self, machine: int, now: float, *, saved: bool) -> tuple[tuple[RunningSlot, int], ...]:
        found: list[tuple[RunningSlot, int]] = []
        for number in self._workers(machine):
            found += self._fleet.stop(self._fleet.workers[number], now, saved=saved)
        return tuple(found)
