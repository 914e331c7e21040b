"""Queries of runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.ledger import (
    Filter,
    Ledger,
    State,
    Submission,
)
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Control, Priority, Run
from cosmos_batch.scoring.scores import ScoreCondition
from tests.support.ledger import Clock, claim, make_run
from tests.support.runs import resolved


def test_waiting_runs_are_returned_as_submitted_most_urgent_first(ledger: Ledger, clock: Clock) -> None:
    emoji = make_run("late", prompt="snow \N{SNOWMAN} 🚗\nsecond line")
    ledger.runs.submit([make_run("early")])
    clock.now += 1
    ledger.runs.submit([emoji, make_run("urgent", priority=Priority.URGENT)])

    waiting = ledger.queries.waiting()

    assert [record.id for record in waiting] == ["urgent", "early", "late"]
    assert waiting[2].run == emoji
    assert [record.id for record in ledger.queries.waiting({"late"})] == ["late"]


def test_requests_are_returned_as_submitted(ledger: Ledger) -> None:
    facts = {"/in/edge.mp4": VideoInfo(64, 32, 9, 8.0)}
    odd = replace(make_run("odd", prompt="\N{SNOWMAN} and 🚗"), video="/in/no utf-8: \udcff.mp4")
    ledger.runs.accept([Submission(make_run("plain"), facts), Submission(odd)])

    plain, strange = sorted(
        ledger.queries.requests(["odd", "plain", "unknown"]), key=lambda each: each.id, reverse=True
    )

    assert (plain.run, plain.fingerprint, plain.facts) == (make_run("plain"), make_run("plain").fingerprint, facts)
    assert (strange.run, strange.facts) == (odd, {})


def test_history_has_each_change_with_reason_and_time(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a")])
    attempt = claim(ledger, "a").attempts["a"]
    clock.now += 5
    ledger.attempts.begin(["a"])
    ledger.attempts.progress({attempt: (35, 35)}, lease=60)
    clock.now += 30
    ledger.attempts.finish(attempt, State.BLOCKED, "the guardrail refused the prompt")
    ledger.attempts.end_batch(1)

    assert [(change.state, change.reason, change.at) for change in ledger.queries.history("a")] == [
        (State.QUEUED, "submitted", 1000),
        (State.LEASED, "in batch 1", 1000),
        (State.RUNNING, "joined", 1005),
        (State.BLOCKED, "the guardrail refused the prompt", 1035),
    ]
    (kept,) = ledger.queries.attempts("a")
    assert (kept.worker, kept.step, kept.steps, kept.outcome) == ("w1", 35, 35, State.BLOCKED)
    (status,) = ledger.queries.statuses()
    assert (status.seconds, status.step, status.steps) == (35, 35, 35)


def test_pages_continue_after_the_last_run(ledger: Ledger, clock: Clock) -> None:
    for index in range(5):
        clock.now += index // 2  # some at the same time
        ledger.runs.accept(
            [Submission(make_run(f"r{index}", prompt=f"Rainy {index}" if index % 2 else "sunny_%"))]
        )

    first = ledger.queries.page(limit=2)
    second = ledger.queries.page(after=first.runs[-1].record.id, limit=2)
    third = ledger.queries.page(after=second.runs[-1].record.id, limit=2)

    assert [[look.record.id for look in page.runs] for page in (first, second, third)] == [
        ["r4", "r3"],
        ["r2", "r1"],
        ["r0"],
    ]
    assert [page.more for page in (first, second, third)] == [True, True, False]
    assert [look.record.id for look in ledger.queries.page(newest_first=False, after="r3").runs] == ["r4"]
    assert ledger.queries.page(after="unknown").runs == ()


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Filter(text="RAIN"), ["b"]),
        (Filter(text="%"), ["c"]),  # as it stands, not as a pattern
        (Filter(states=[State.CANCELLED]), ["a"]),
        (Filter(control="vis"), ["c"]),
        (Filter(owner="alice"), ["b"]),
        (Filter(rating=5), ["b"]),
        (Filter(scores=[ScoreCondition("edge_f1", ">=", 0.5)]), ["b"]),
        (Filter(scores=[ScoreCondition("edge_f1", "<", 0.5)]), ["a"]),  # not "c", which has no score
        (Filter(batch_job_id="batch_1", states=[State.QUEUED]), ["c"]),
        (Filter(), ["c", "b", "a"]),
    ],
)
def test_filter_selects_runs(ledger: Ledger, clock: Clock, where: Filter, found: list[str]) -> None:
    vis = Run(id="c", prompt="100 %", controls=(Control(name="vis", weight=1.0), Control(name="edge", weight=0)))
    ledger.runs.accept([Submission(make_run("a"), batch_job_id="batch_1")])
    clock.now += 1
    ledger.runs.accept([Submission(make_run("b", prompt="rainy"), owner="alice")])
    clock.now += 1
    ledger.runs.accept([Submission(resolved(vis), batch_job_id="batch_1")])
    ledger.runs.cancel(["a"])
    ledger.runs.rate(["b"], 5)
    ledger.runs.set_scores({"a": {"edge_f1": 0.25}, "b": {"edge_f1": 0.5}})

    assert [look.record.id for look in ledger.queries.page(where).runs] == found
    assert ledger.queries.count(where) == len(found)


def test_changes_after_an_id_are_returned(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    mark = ledger.queries.latest_change()
    ledger.runs.submit([make_run("b")])
    ledger.runs.cancel(["b"])

    assert [(change.run, change.state) for change in ledger.queries.changes(mark)] == [
        ("b", State.QUEUED),
        ("b", State.CANCELLED),
    ]
    assert ledger.queries.changes(mark, run_id="a") == []
    ledger.runs.delete(["b"])
    ledger.runs.submit([make_run("c")])  # what was forgotten does not give its place to another
    assert ledger.queries.latest_change() > mark + 2


def test_known_runs_are_read_by_id(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("waits"), make_run("held"), make_run("done")])
    ledger.runs.set_state(["done"], State.SUCCEEDED, "made")
    claim(ledger, "held")

    assert set(ledger.queries.records(["waits", "done", "unknown"])) == {"waits", "done"}
    assert ledger.queries.unfinished(["waits", "held", "done", "unknown"]) == {"waits", "held"}
    assert ledger.queries.get("unknown") is None
    assert ledger.queries.get_run("unknown") is None


def test_run_is_read_with_its_latest_attempt(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    ledger.attempts.finish(claim(ledger, "a").attempts["a"], State.QUEUED, "broke")
    latest = claim(ledger, "a").attempts["a"]

    found, never_begun = ledger.queries.get_run("a"), ledger.queries.get_run("b")

    assert found is not None
    assert found.attempt is not None
    assert (found.record.id, found.attempt.id) == ("a", latest)
    assert never_begun is not None
    assert never_begun.attempt is None
    assert [(each.record.id, each.attempt) for each in ledger.queries.under_way()] == [("a", found.attempt)]


def test_video_is_needed_until_its_runs_have_ended(ledger: Ledger) -> None:
    path = '/in/a "quoted" 100%.mp4'
    ledger.runs.accept([Submission(make_run("a"), {path: VideoInfo(64, 32, 9, 8.0)})])

    assert ledger.queries.needs(path)
    assert not ledger.queries.needs("/in/another.mp4")
    ledger.runs.cancel(["a"])
    assert not ledger.queries.needs(path)


@pytest.mark.parametrize(
    ("highest_first", "found"), [(True, ["d", "e", "a", "c", "b"]), (False, ["a", "e", "d", "b", "c"])]
)
def test_pages_by_a_score_have_runs_without_it_last(ledger: Ledger, highest_first: bool, found: list[str]) -> None:
    ledger.runs.submit([make_run(name) for name in "abcde"])
    ledger.runs.set_scores(
        {"a": {"edge_f1": 0.1}, "d": {"edge_f1": 0.9}, "e": {"edge_f1": 0.1}, "b": {"noise": 1}}
    )
    seen: list[str] = []
    more = True
    while more:
        page = ledger.queries.page(
            after=seen[-1] if seen else "", limit=2, newest_first=highest_first, score="edge_f1"
        )
        seen += [look.record.id for look in page.runs]
        more = page.more

    assert seen == found
