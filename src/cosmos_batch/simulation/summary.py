"""Summaries of simulations: waits, device time, loads, fairness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.run import Priority
from cosmos_batch.simulation.records import Records, Timeline, Totals
from cosmos_batch.simulation.trace import Trace


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from arrival to the first denoising step: median, 99th percentile, longest; None: no run."""

    p50: float | None
    p99: float | None
    longest: float | None

    @classmethod
    def of(cls, waits: NDArray[np.float64]) -> Waits:
        """Summarise waits."""
        if not len(waits):
            return cls(None, None, None)
        return cls(*(round(float(each), 3) for each in np.percentile(waits, (50, 99, 100))))


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of a trace under one policy."""

    policy: str
    runs: int
    failed: int  # without a video: refused or quarantined
    makespan: float  # seconds from the beginning of the trace to the end of its last run
    bound: float  # seconds that the makespan takes at least
    waits: Waits
    urgent: Waits  # of urgent runs
    turnaround: Waits  # seconds from arrival to the video, in place of to the first step
    gpu_seconds: float  # for which devices were busy, loads included
    use: float  # share of the devices' time until the makespan
    fairness: float | None
    """Jain's index of the owners' mean times in the system: 1 if all are equal, near 1/n if one of n waits far
    longer than all others (Jain, Chiu, Hawe 1984, "A quantitative measure of fairness"); None: one owner."""
    totals: Totals
    timeline: Timeline

    def as_dict(self) -> dict[str, object]:
        """The summary as JSON-ready values."""
        return asdict(self)


def summarise(policy: str, trace: Trace, gpus: int, bound: float, records: Records) -> Summary:
    """Summarise the records of a trace under a policy."""
    times = records.times
    began = ~np.isnan(times.began)
    waits = times.began - trace.at
    urgent = trace.priorities >= Priority.URGENT
    makespan = float(np.nanmax(times.ended)) if len(trace) else 0.0
    busy = records.totals.busy_seconds
    return Summary(
        policy=policy,
        runs=len(trace),
        failed=int(times.failed.sum()),
        makespan=round(makespan, 3),
        bound=round(bound, 3),
        waits=Waits.of(waits[began]),
        urgent=Waits.of(waits[began & urgent]),
        turnaround=Waits.of((times.ended - trace.at)[~times.failed]),
        gpu_seconds=round(busy, 1),
        use=round(busy / (gpus * makespan), 4) if makespan else 0.0,
        fairness=_fairness(trace, times.ended - trace.at),
        totals=records.totals,
        timeline=records.timeline,
    )


def _fairness(trace: Trace, seconds: NDArray[np.float64]) -> float | None:
    if trace.owner is None or len(trace.owners) < 2:
        return None
    ended = ~np.isnan(seconds)
    count = np.bincount(trace.owner[ended], minlength=len(trace.owners))
    total = np.bincount(trace.owner[ended], weights=seconds[ended], minlength=len(trace.owners))
    mean = total[count > 0] / count[count > 0]
    squares = float((mean**2).sum())
    return round(float(mean.sum()) ** 2 / (len(mean) * squares), 4) if squares else 1.0


def as_json(source: str, gpus: int, summaries: list[Summary], error: float | None) -> Mapping[str, object]:
    """All summaries as JSON-ready values. `error`: that the costs state, as a ratio."""
    return {
        "trace": source,
        "gpus": gpus,
        "cost_error": error,
        "policies": [summary.as_dict() for summary in summaries],
    }
