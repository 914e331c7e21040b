"""The public function that predicts which runs arrive next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from typing import Any

from cosmos_batch.api.batches import ExpectedArrivals, group_runs_for_batching
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.run_like import RunLike
from cosmos_batch.planning.prediction.arrivals import learn
from cosmos_batch.planning.traits import Traits

Moment = float | datetime
"""A time: seconds since a midnight, such as since 1970, or a datetime."""


def predict_arrivals(
    history: Iterable[tuple[Moment, RunLike]],
    engine: str | Traits = "transfer1",
    *,
    now: Moment | None = None,
    within: float = 600.0,
) -> list[ExpectedArrivals]:
    """Predict the arrivals of each group of `group_runs_for_batching`, the group with most of them first.

    `history` holds the time at which each run was submitted and the run, in any order; `now` is the time from
    which on is predicted, by default that of the last run; `within` is the number of seconds for which runs are
    counted. The rates are learnt as those of a service. Raises InputError for a dict that is no run, and PlanError
    for an unknown engine, a time that is no number, or a `within` that is not above 0.
    """
    if not 0 < within < inf:
        raise PlanError(f"within = {within!r}: it is a number of seconds above 0")
    entries = [(_seconds(at), run) for at, run in history]
    groups = group_runs_for_batching([run for _, run in entries], engine)
    keys = {id(run): key for key, members in groups.items() for run in members}
    arrivals = sorted(((at, place) for place, (at, _) in enumerate(entries)), key=lambda each: each[0])
    end = _seconds(now) if now is not None else max((at for at, _ in entries), default=0.0)
    rates = learn(((at, keys[id(entries[place][1])]) for at, place in arrivals if at <= end), end)
    latest: Mapping[tuple[Any, ...], RunLike] = {
        keys[id(entries[place][1])]: entries[place][1] for _, place in arrivals
    }
    found = [
        ExpectedArrivals(
            group=key,
            like=latest[key],
            next_in=rates.next_in(key, end),
            per_hour=rates.expected(key, end, 3600.0),
            runs=rates.expected(key, end, within),
            probability=rates.probability(key, end, within),
        )
        for key in rates.kinds
    ]
    return sorted(found, key=lambda each: -each.runs)


def _seconds(at: Moment) -> float:
    seconds = at.timestamp() if isinstance(at, datetime) else at
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not -inf < seconds < inf:
        raise PlanError(f"{at!r} is no time; give seconds or a datetime")
    return float(seconds)
