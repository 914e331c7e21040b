"""Settings of a simulation: machines, their failures, and how a worker behaves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The machines of a fleet. Durations are seconds unless the name says otherwise."""

    gpus_each: int = 8  # that fail together
    failure_hours: float | None = None  # mean time between two failures of a machine; None: it never fails
    repair: float = 3600.0  # until a machine that failed works again
    spot_share: float = 0.0  # of the machines: those that may be reclaimed
    reclaim_hours: float = 24.0  # mean time between two reclaims of a spot machine
    notice: float = 30.0  # before a reclaim, in which runs are saved
    away: float = 1800.0  # until a reclaimed machine is replaced
    restart: float = 5.0  # until a worker that crashed has a new process


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Settings of the workers and of the chance in a simulation."""

    poll: float = 0.1  # seconds between two looks of an idle worker at the queue
    lease: float = 120.0  # seconds after which the runs of a machine that failed wait again
    save_every: float = 20.0  # seconds between checkpoints
    own_plans: int = 32  # workers up to which each has a plan of its own, as in a service; more of them share one
    seed: int = 0  # of failures, and of the deviation of times from the predicted ones
