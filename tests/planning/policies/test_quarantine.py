"""When a run is quarantined: a table of crash histories."""

from __future__ import annotations

import pytest

from cosmos_batch.planning.policies.quarantine import CrashHistory, quarantine_reason


@pytest.mark.parametrize(
    ("history", "step", "alone", "quarantined"),
    [
        # A crash with other runs proves nothing
        (CrashHistory(0, 0, None), 3, False, False),
        (CrashHistory(5, 0, None), 3, False, False),
        # Nor does one crash alone: the worker may have crashed for another reason
        (CrashHistory(1, 0, None), 3, True, False),
        # Twice alone, after the same step: the run is the cause
        (CrashHistory(2, 1, 3), 3, True, True),
        # Twice alone, but it got further: it may be chance
        (CrashHistory(2, 1, 3), 7, True, False),
        # Four times alone: enough
        (CrashHistory(4, 3, 3), 7, True, True),
        # Where one worker crashed without it, too, twice as many crashes are required
        (CrashHistory(2, 1, 3, others=1), 3, True, False),
        (CrashHistory(4, 3, 3, others=1), 3, True, True),
        (CrashHistory(8, 6, 3, others=1), 7, True, False),
        (CrashHistory(8, 7, 3, others=1), 7, True, True),
        # Where three or more did, four times as many
        (CrashHistory(8, 6, 3, others=9), 3, True, False),
        (CrashHistory(8, 7, 3, others=3), 3, True, True),
        (CrashHistory(8, 7, 3, others=9), 3, True, True),
        (CrashHistory(16, 14, 3, others=9), 7, True, False),
        (CrashHistory(16, 15, 3, others=9), 7, True, True),
    ],
)
def test_run_is_quarantined_only_on_evidence(
    history: CrashHistory, step: int, alone: bool, quarantined: bool
) -> None:
    assert bool(quarantine_reason(history, step, alone, "killed by SIGSEGV")) is quarantined


def test_reason_counts_the_crashes() -> None:
    found = quarantine_reason(CrashHistory(2, 1, 3), 3, True, "killed by SIGSEGV")

    assert found == (
        "quarantined: 3 workers crashed while executing it, 2 of them with no other run, the last two times "
        "after step 3 (killed by SIGSEGV)"
    )
