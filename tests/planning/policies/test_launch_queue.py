"""Planned launches in order, and the first launch of every kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.planning.plan import Batch, Kind, Launch
from cosmos_batch.planning.policies.launch_queue import LaunchQueue
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority


def planned(control: str, points: int, level: Priority = Priority.NORMAL) -> PlannedLaunch:
    batch = Batch((), Shape(32, 32, 2), 1.0, 0)
    return PlannedLaunch(Rank(level, points), Launch(0, (control,), (batch,), 0.0, ""))


RANKED = st.builds(
    planned, st.sampled_from(["edge", "vis", "seg"]), st.integers(-3, 3), st.sampled_from(list(Priority))
)


@given(st.lists(RANKED, max_size=30), st.data())
def test_launches_stay_in_the_order_of_their_ranks_whatever_is_removed(
    launches: list[PlannedLaunch], data: st.DataObject
) -> None:
    queue = LaunchQueue(launches)
    expected = sorted(launches, key=lambda each: each.rank, reverse=True)  # stable: equals as they were added
    while expected:
        assert [id(each) for each in queue] == [id(each) for each in expected]
        assert len(queue) == len(expected)
        assert queue.greatest == expected[0].rank
        firsts = {each.launch.kind: each for each in reversed(expected)}
        assert {place[4]: place[3] for place in queue.heads} == firsts
        assert set(queue.kinds) == set(firsts)
        gone = data.draw(st.sampled_from(queue.places()))
        queue.remove(gone)
        expected = [each for each in expected if each is not gone[3]]
    assert not queue
    assert queue.greatest is None


def test_equals_are_the_launches_of_one_kind_and_rank() -> None:
    queue = LaunchQueue([planned("edge", 1), planned("vis", 1), planned("edge", 0), planned("edge", 1)])
    for control, count in (("edge", 2), ("vis", 1)):
        head = queue.head(Kind((), (control,)))
        assert head is not None
        assert len(queue.equals(head)) == count
    assert queue.head(Kind((), ("seg",))) is None
