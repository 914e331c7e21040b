"""The forecast of a worker: its planned launches, of bounded size, for the API and the web page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cosmos_batch.ledger import QueueEntry
from cosmos_batch.ledger.forecast import BatchForecast, Forecast, LaunchForecast
from cosmos_batch.planning.plan import Batch, Kind
from cosmos_batch.planning.policies.priority import PlannedLaunch

MOST_BATCHES = 100
MOST_RUNS = 50  # ids of a batch
MOST_HELD = 200


def forecast(
    launches: Iterable[PlannedLaunch],
    runs: int,
    deferred: Sequence[QueueEntry],
    flushed: str,
    now: float,
    loaded: Kind | None = None,
) -> Forecast:
    """Describe the planned launches and when each is expected to begin, and the deferred runs.

    `runs`: how many wait; `deferred`: runs that are tried again later; `loaded`: what the device holds. The first
    hundred batches, and fifty ids of each.
    """
    described: list[LaunchForecast] = []
    starts, shown = 0.0, 0
    for planned in launches:
        if shown < MOST_BATCHES:
            batches = planned.launch.batches[: MOST_BATCHES - shown]
            described.append(_launch(planned, batches, starts))
            shown += len(batches)
        starts += planned.launch.seconds
    return Forecast(
        at=now,
        flushed=flushed,
        runs=runs,
        seconds=starts,
        launches=tuple(described),
        loaded=loaded.label if loaded else "",
        held_back={entry.id: _held_back(entry, now) for entry in deferred[:MOST_HELD]},
    )


def _launch(planned: PlannedLaunch, batches: Sequence[Batch], starts: float) -> LaunchForecast:
    launch = planned.launch
    described = []
    begins = starts
    for batch in batches:
        described.append(_batch(batch, begins))
        begins += batch.seconds
    return LaunchForecast(
        controls=launch.controls,
        reason=launch.reason,
        load_seconds=launch.load_seconds,
        seconds=launch.seconds,
        starts_in=starts,
        runs_total=len(launch.runs),
        batches=tuple(described),
    )


def _batch(batch: Batch, starts: float) -> BatchForecast:
    return BatchForecast(
        runs=tuple(run.id for run in batch.runs[:MOST_RUNS]),
        runs_total=len(batch.runs),
        width=batch.shape.width,
        height=batch.shape.height,
        frames=batch.shape.frames,
        seconds=batch.seconds,
        bytes=batch.bytes,
        starts_in=starts,
    )


def _held_back(entry: QueueEntry, now: float) -> str:
    return f"failed before; tried again in {entry.not_before - now:.0f} s"
