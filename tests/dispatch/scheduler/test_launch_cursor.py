"""A launch's batches come in order, within limits, and parts of broken batches before all others."""

from __future__ import annotations

from cosmos_batch.dispatch.contract import BatchBroke, BatchEnd, Start
from cosmos_batch.dispatch.scheduler.launch_cursor import LaunchCursor
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from tests.support.memory_queue import queued_run

SHAPE = Shape(32, 32, 2)


def batch(names: str) -> Batch:
    return Batch(tuple(queued_run(name) for name in names), SHAPE, float(len(names)), 5)


def launch(*batches: str) -> Launch:
    return Launch(0, ("edge",), tuple(batch(names) for names in batches), 1.0, "they are alike")


def names(start: Start | None) -> str:
    assert start is not None
    return "".join(run.id for run in start.launch.batches[0].runs)


def drain(cursor: LaunchCursor) -> list[str]:
    found = []
    while (start := cursor.next()) is not None:
        found.append(names(start))
    return found


def broke(names: str, *, reserve: bool) -> BatchBroke:
    parts = tuple(batch(names).split(-(-len(names) // 2)))
    return BatchBroke(batch(names), BatchEnd.CRASHED, "broke", dict.fromkeys(names, 0), False, parts, reserve)


def test_batches_come_in_order_each_with_what_is_left_of_its_launch() -> None:
    cursor = LaunchCursor(lambda _shape: None)
    cursor.begin(launch("ab", "c"), {"a": 2})
    first = cursor.next()
    assert first is not None
    assert [len(each.runs) for each in first.launch.batches] == [2, 1]
    assert [run.id for run in first.prefetch or ()] == ["c"]
    assert first.failures == {"a": 2}
    assert names(cursor.next()) == "c"
    assert cursor.next() is None


def test_a_batch_above_the_limit_is_cut() -> None:
    cursor = LaunchCursor(lambda _shape: 2)
    cursor.begin(launch("abcde"), {})
    assert drain(cursor) == ["a", "bc", "de"]


def test_parts_are_predicted_by_their_own_runs() -> None:
    cursor = LaunchCursor(lambda _shape: 1, predict=lambda runs: float(ord(runs[0].id)))
    cursor.begin(launch("ab"), {})
    starts = [cursor.next(), cursor.next()]
    assert [start.cost.seconds for start in starts if start] == [97.0, 98.0]


def test_a_limit_that_is_learnt_on_the_way_holds_for_the_batches_after() -> None:
    limit: list[int | None] = [None]
    cursor = LaunchCursor(lambda _shape: limit[0])
    cursor.begin(launch("ab", "cd"), {})
    assert names(cursor.next()) == "ab"
    limit[0] = 1
    assert drain(cursor) == ["c", "d"]


def test_halves_of_a_batch_that_ran_out_of_memory_come_next_and_may_be_joined() -> None:
    cursor = LaunchCursor(lambda _shape: None)
    cursor.begin(launch("abcd", "e"), {})
    cursor.next()
    cursor.broke(broke("abcd", reserve=False))
    start = cursor.next()
    assert names(start) == "ab"
    assert start is not None
    assert not start.closed
    assert drain(cursor) == ["cd", "e"]


def test_halves_of_a_crashed_batch_and_theirs_are_reserved_with_the_first_of_them() -> None:
    cursor = LaunchCursor(lambda _shape: None)
    cursor.begin(launch("abcd", "e"), {})
    cursor.next()
    cursor.broke(broke("abcd", reserve=True))
    first = cursor.next()
    assert first is not None
    assert first.closed
    assert first.prefetch is None
    assert ["".join(run.id for run in part.runs) for part, _ in first.reserve] == ["cd"]
    cursor.broke(broke("ab", reserve=True))
    second = cursor.next()
    assert names(second) == "a"
    assert second is not None
    assert ["".join(run.id for run in part.runs) for part, _ in second.reserve] == ["b"]
    assert drain(cursor) == ["b", "cd", "e"]
