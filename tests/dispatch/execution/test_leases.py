"""Open attempts, and those whose leases were lost."""

from __future__ import annotations

from cosmos_batch.dispatch.execution.leases import Leases


def test_only_an_open_attempt_can_lose_its_lease() -> None:
    leases = Leases()
    leases.take(1)
    leases.take(2)
    leases.drop(2)

    leases.lose({1, 2})

    assert (leases.held(), leases.lost) == ({1}, {1})


def test_ended_attempt_is_neither_held_nor_lost() -> None:
    leases = Leases()
    leases.take(1)
    leases.lose({1})

    leases.drop(1)

    assert (leases.held(), leases.lost) == (set(), set())
