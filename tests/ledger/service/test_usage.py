"""Engine time by tenant, model and day."""

from __future__ import annotations

import pytest

from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.ledger.service.usage import UsageBy
from tests.support.ledger import Clock, claim, make_run


@pytest.fixture
def two_tenants(ledger: Ledger, clock: Clock) -> Ledger:
    """A batch of 90 seconds with three runs of two tenants and one of none, and the next day one of 10 seconds."""
    ledger.api_keys.add("alice", "0a", "night")
    ledger.api_keys.add("bob", "0b", "day")
    owners = {"a1": "alice", "a2": "alice", "b": "bob", "n": ""}
    ledger.runs.accept([Submission(make_run(id_), owner=owner) for id_, owner in owners.items()])
    claimed = claim(ledger, *owners)
    clock.now += 30
    ledger.attempts.finish(claimed.attempts["a1"], State.SUCCEEDED)
    clock.now += 30
    for run in ("a2", "b", "n"):
        ledger.attempts.finish(claimed.attempts[run], State.FAILED if run == "n" else State.SUCCEEDED)
    ledger.attempts.end_batch(claimed.batch, seconds=90.0)
    ledger.attempts.end_batch(claimed.batch, seconds=90.0)  # said twice, counted once
    ledger.runs.retry(["n"])
    clock.now += 86_400
    again = claim(ledger, "n")
    ledger.attempts.finish(again.attempts["n"], State.SUCCEEDED)
    ledger.attempts.end_batch(again.batch, seconds=10.0)
    return ledger


def test_time_in_a_batch_is_shared_by_the_time_of_its_runs(two_tenants: Ledger) -> None:
    totals = {total.name: (total.seconds, total.runs) for total in two_tenants.usage.totals(UsageBy.TENANT)}

    share = 90.0 / (30 + 3 * 60)
    assert totals == {
        "": (pytest.approx(share * 60 + 10), 1),
        "day": (pytest.approx(share * 60), 1),
        "night": (pytest.approx(share * 90), 2),
    }


@pytest.mark.parametrize("by", UsageBy)
def test_totals_sum_to_the_time_of_the_engines_whatever_was_deleted(two_tenants: Ledger, by: UsageBy) -> None:
    two_tenants.runs.delete(["a1", "n"])

    assert sum(total.seconds for total in two_tenants.usage.totals(by)) == pytest.approx(100.0)


def test_days_are_those_from_the_first_to_the_last(two_tenants: Ledger) -> None:
    days = two_tenants.usage.totals(UsageBy.DAY)

    assert [(day.name, day.seconds) for day in days] == [
        ("1970-01-01", pytest.approx(90.0)),
        ("1970-01-02", pytest.approx(10.0)),
    ]
    assert two_tenants.usage.totals(UsageBy.DAY, since="1970-01-02") == days[1:]
    assert two_tenants.usage.totals(UsageBy.DAY, until="1970-01-01") == days[:1]


def test_budget_begins_anew_with_its_period(two_tenants: Ledger, clock: Clock) -> None:
    usage = two_tenants.usage
    usage.set_budget("night", 30.0, "day")
    usage.set_budget("day", 30.0, "month")
    clock.now = 2000.0
    assert [(each.tenant, each.spent, each.until) for each in usage.budgets()] == [
        ("day", False, "1970-02-01"),
        ("night", True, "1970-01-02"),
    ]

    clock.now += 86_400
    usage.set_budget("day", 25.0, "month")

    assert [(each.tenant, each.spent) for each in usage.budgets()] == [("day", True), ("night", False)]
    clock.now += 31 * 86_400
    assert [each.used for each in usage.budgets()] == [0.0, 0.0]
    usage.set_budget("day", None)
    assert [each.tenant for each in usage.budgets()] == ["night"]
