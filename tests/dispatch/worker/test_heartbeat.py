"""The heartbeat: leases that are renewed, leases that were lost, a ledger that is locked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_batch.dispatch.execution.leases import Leases
from cosmos_batch.dispatch.worker.heartbeat import Heartbeat
from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import BatchFacts, State
from cosmos_batch.planning.traits import Shape
from tests.support.service_world import World

FACTS = BatchFacts("replay", Shape(32, 32, 2), 1.0, 0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def heartbeat(world: World, leases: Leases, troubles: list[str]) -> Heartbeat:
    return Heartbeat(world.ledger, "w", leases, 60, troubles.append)


def test_heartbeat_renews_leases_and_reports_lost_ones(world: World) -> None:
    world.submit(world.run("kept"), world.run("taken"))
    claim = world.ledger.queue.claim(["kept", "taken"], FACTS, "w", lease=60)
    assert claim is not None
    leases = Leases()
    for attempt in claim.attempts.values():
        leases.take(attempt)
    world.clock.sleep(50)
    world.ledger.attempts.finish(claim.attempts["taken"], State.QUEUED, "taken away")

    heartbeat(world, leases, []).beat()
    world.clock.sleep(50)

    assert world.ledger.queue.reclaim("silent") == []
    assert leases.lost == {claim.attempts["taken"]}


def test_locked_ledger_is_reported_and_loses_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_self: object) -> object:
        raise LedgerError("the ledger is locked")

    troubles: list[str] = []
    leases = Leases()
    leases.take(1)
    with monkeypatch.context() as patch:
        patch.setattr(type(world.ledger.database), "write", locked)
        heartbeat(world, leases, troubles).beat()

    assert troubles == ["the ledger is locked"]
    assert leases.lost == set()
