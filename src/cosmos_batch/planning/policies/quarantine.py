"""Decide from its crash history whether a run is quarantined when a worker crashes.

A crash of a batch makes each of its runs a suspect, which from then on is executed alone. A run is quarantined
after two crashes while executed alone, if it got no further the second time, or after four, however far it got: a
worker may also crash for another reason while it executes a run. Where workers crash without the run, too, there
is such a reason: each of the first three such crashes requires as many crashes again, up to four times as many.

Where a worker falls silent, with its machine or its network, no process saw how it ended: two of these count as
one crash.
"""

from __future__ import annotations

from dataclasses import dataclass

STUCK_CRASHES = 2
"""Crashes alone, the last two after the same step, that quarantine a run."""
LONE_CRASHES = 4
"""Crashes alone, after any steps, that quarantine a run."""
COUNTED_OTHERS = 3
"""Crashes without the run from which on no more evidence is required."""
QUARANTINED = "quarantined"
"""The first word of the reason."""


SILENCES = 2
"""Workers that fell silent while executing a run, which count as one crash."""


@dataclass(frozen=True, slots=True)
class CrashHistory:
    """The crashes of workers while executing a run, before the present crash."""

    crashes: int  # workers that crashed while executing it
    lone_crashes: int  # of these, workers that executed no other run
    crash_step: int | None  # denoising steps that it had done at the last lone crash
    others: int = 0  # workers that crashed without it, and without a quarantined run, since its own first crash


def counts_as_crash(silences: int) -> bool:
    """Whether the silence of a worker completes a crash; `silences`: of workers with the run, with this one."""
    return silences % SILENCES == 0


def quarantine_reason(history: CrashHistory, step: int, alone: bool, cause: str) -> str:
    """The reason for quarantining the run after this crash; "" where the evidence does not suffice.

    `step`: denoising steps that the run had done; `alone`: the worker executed no other run; `cause`: why the
    worker crashed.
    """
    stuck = history.crash_step == step
    required = (STUCK_CRASHES if stuck else LONE_CRASHES) * (1 + min(history.others, COUNTED_OTHERS))
    crashes, lone = history.crashes + 1, history.lone_crashes + 1
    if not alone or lone < required:
        return ""
    where = f"the last two times after step {step}" if stuck else f"the last time after step {step}"
    return (
        f"{QUARANTINED}: {crashes} workers crashed while executing it, {lone} of them with no other run, "
        f"{where} ({cause})"
    )
