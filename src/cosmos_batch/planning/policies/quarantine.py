"""Which run is to blame when a worker dies: a pure verdict on what is known of its deaths.

A death beside others makes every run of the batch a suspect, and suspects go alone from then on. A run is poison
when it was alone aboard twice and came no further the second time, or alone aboard four times, however far it
came: a worker may also die of something else while an innocent run is aboard. Where workers meanwhile die without
the run, too, something else does kill them, and twice as many deaths are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

STUCK_DEATHS = 2
LONE_DEATHS = 4


@dataclass(frozen=True, slots=True)
class CrashHistory:
    """What is known of a run before this death."""

    deaths: int  # workers that died with it aboard
    lone_deaths: int  # those that had it alone
    death_step: int | None  # denoising steps done at the last of those
    others: int = 0  # workers that died without it since the first of its own


def quarantine_reason(known: CrashHistory, step: int, alone: bool, how: str) -> str:
    """The evidence that condemns the run at this death; "" where it does not suffice.

    `step`: denoising steps that the run had done; `alone`: no other run was aboard; `how`: what the worker
    died of.
    """
    stuck = known.death_step == step
    asked_for = (STUCK_DEATHS if stuck else LONE_DEATHS) * (2 if known.others else 1)
    deaths, lone = known.deaths + 1, known.lone_deaths + 1
    if not alone or lone < asked_for:
        return ""
    where = f"the last two times after step {step}" if stuck else f"the last time after step {step}"
    return f"it kills its worker: {deaths} died with it aboard, {lone} of them with it alone, {where} ({how})"
