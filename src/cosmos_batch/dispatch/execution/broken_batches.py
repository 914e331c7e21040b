"""What the ledger learns of a batch that broke, and of a launch that cannot start."""

from __future__ import annotations

from cosmos_batch.dispatch.contract import BatchBroke, BatchEnd, LaunchFailed
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.execution.measurements import MeasurementLog


def record_broken_batch(outcome: BatchBroke, context: DispatchContext, measurements: MeasurementLog) -> None:
    """Record the limit of memory, and in a service the suspects of a crash."""
    runs = len(outcome.running)
    if outcome.end is BatchEnd.OUT_OF_MEMORY:
        measurements.too_many(outcome.batch.shape, runs)
    if outcome.foreign and context.settings.guarded:
        suspects = outcome.running if runs > 1 else {}
        context.ledger.crashes.record_crash(suspects, outcome.cause)
        context.events.noted(f"the engine broke: {outcome.cause}")
    elif runs > 1:
        context.counters.count("splits")
        context.events.noted(f"a batch of {runs} is halved: {outcome.cause}")


def defer_launch(outcome: LaunchFailed, context: DispatchContext) -> None:
    """In a service, let the runs of a launch that cannot start wait, so that others are made meanwhile."""
    settings = context.settings
    if not settings.guarded:
        return
    runs = outcome.launch.runs
    wait = settings.wait_after(1 + outcome.failures)
    context.events.noted(f"a launch of {len(runs)} runs cannot start: {outcome.error}")
    ids = [run.id for run in runs]
    context.ledger.queue.defer(ids, str(outcome.error), wait, settings.max_failures)
