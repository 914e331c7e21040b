"""Which runs arrive next, and the room that batches leave for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cosmos_batch import (
    Control,
    ExpectedArrivals,
    PlanError,
    Run,
    determine_batch_size,
    predict_arrivals,
    smart_batch_generation,
    write_launches,
)


def run(number: int, *controls: str, weight: float = 0.5) -> Run:
    """A run with these controls."""
    active = tuple(Control(name=name, weight=weight, video=f"{name}.mp4") for name in controls)  # type: ignore[arg-type]
    return Run(id=f"{'_'.join(controls)}_{number}", prompt="a street", controls=active, video="in.mp4")


def expecting(count: float, *controls: str, weight: float = 0.5) -> ExpectedArrivals:
    """So many runs with these controls are expected."""
    return ExpectedArrivals(controls, run(99, *controls, weight=weight), 10.0, count, count, 1.0)


def steady(every: float, *controls: str) -> list[tuple[float, Run]]:
    """Three hundred runs at random moments, so many seconds apart in the mean."""
    dice, at, found = Random(1), 0.0, []
    for number in range(300):
        at += dice.expovariate(1 / every)
        found.append((at, run(number, *controls)))
    return found


def test_each_group_has_its_rate_and_the_busiest_is_the_first() -> None:
    history = steady(30, "edge") + steady(300, "edge", "vis")
    busy = [(at, each) for at, each in history if at < 8000]
    found = predict_arrivals(busy, now=8000.0)
    assert [each.group for each in found] == [("edge",), ("edge", "vis")]
    assert found[0].per_hour == pytest.approx(120, rel=0.3)
    assert found[0].runs == pytest.approx(20, rel=0.3)
    assert found[1].per_hour == pytest.approx(12, rel=0.5)
    assert found[0].next_in < found[1].next_in
    assert found[0].like == max((each for each in busy if each[1].signature == ("edge",)), key=lambda e: e[0])[1]
    assert all(0 <= each.probability <= 1 for each in found)


def test_times_may_be_datetimes_in_any_order() -> None:
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    history = steady(60, "edge")
    moments = [(midnight + timedelta(seconds=at), each) for at, each in reversed(history)]
    (found,) = predict_arrivals(moments, within=60.0)
    (by_seconds,) = predict_arrivals([(midnight.timestamp() + at, each) for at, each in history], within=60.0)
    assert found.group == by_seconds.group
    assert found.next_in == pytest.approx(by_seconds.next_in)
    assert found.runs == pytest.approx(by_seconds.runs)


def test_without_a_history_nothing_is_expected() -> None:
    assert predict_arrivals([]) == []
    (once,) = predict_arrivals([(5.0, run(0, "edge"))])
    assert (once.runs, once.next_in) == (0, inf)


@pytest.mark.parametrize("moment", [nan, inf, "noon", None, True])
def test_what_is_no_time_is_refused(moment: Any) -> None:
    with pytest.raises(PlanError, match="is no time"):
        predict_arrivals([(moment, run(0, "edge"))])


@pytest.mark.parametrize("within", [0.0, -1.0, inf, nan])
def test_what_is_no_length_of_time_is_refused(within: float) -> None:
    with pytest.raises(PlanError, match="within"):
        predict_arrivals([(0.0, run(0, "edge"))], within=within)


def test_the_last_batch_has_room_for_what_is_expected() -> None:
    runs = [run(number, "edge") for number in range(10)]
    assert [batch.room for batch in smart_batch_generation(runs)] == [0, 0]
    found = smart_batch_generation(runs, expected=[expecting(3.9, "edge")])
    assert [(batch.batch_size, batch.room) for batch in found] == [(8, 0), (2, 3)]
    assert [len(batch.batch_jsonl) for batch in found] == [8, 2]


def test_more_expected_runs_than_fit_leave_a_batch_full_and_make_none() -> None:
    found = smart_batch_generation([run(0, "edge")], expected=[expecting(100, "edge"), expecting(5, "vis")])
    assert [(batch.batch_size, batch.room) for batch in found] == [(1, determine_batch_size(1) - 1)]
    assert smart_batch_generation([], expected=[expecting(5, "edge")]) == []


def test_launches_with_room_are_written_like_others(tmp_path: Path) -> None:
    runs = [run(number, "edge", weight=weight) for weight in (0.3, 0.6) for number in range(9)]
    runs = [replace(each, id=f"r{place}") for place, each in enumerate(runs)]
    expected = [expecting(2, "edge", weight=0.3), expecting(2, "edge", weight=0.6)]
    for weights in ("maps", "scalar"):
        found = smart_batch_generation(runs, weights=weights, expected=expected)  # type: ignore[arg-type]
        assert sum(batch.batch_size for batch in found) == 18
        assert sum(batch.room for batch in found) > 0
        assert len(write_launches(found, tmp_path / weights)) == len({batch.launch for batch in found})
