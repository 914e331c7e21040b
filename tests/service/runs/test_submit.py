"""Group commit of submissions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from cosmos_batch.errors import ConflictError, InputError, Problem, RowError
from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.submit import StoredSubmission, Submitter
from tests.support.dispatch_world import make_run


def submission(run_id: str) -> Submission:
    return Submission(make_run(run_id, Path("/in.mp4")))


async def submit_together(submitter: Submitter, *run_ids: str) -> list[StoredSubmission | BaseException]:
    """Submit runs at the same time; "" is a request that cannot be parsed."""

    def prepare(run_id: str) -> Submission:
        if not run_id:
            raise InputError([Problem("", None, "prompt", "", "is missing", "")])
        return submission(run_id)

    submissions = [submitter.submit(lambda run_id=run_id: prepare(run_id)) for run_id in run_ids]
    return await asyncio.gather(*submissions, return_exceptions=True)


def test_failed_submissions_do_not_fail_others_of_the_group(ledger: Ledger) -> None:
    ledger.runs.accept([submission("taken")])
    outcomes = asyncio.run(submit_together(Submitter(ledger, 100), "a", "taken", "", "b"))
    assert [type(outcome) for outcome in outcomes] == [
        StoredSubmission,
        ConflictError,
        InputError,
        StoredSubmission,
    ]
    assert ledger.queries.states() == {State.QUEUED: 3}


def test_full_queue_refuses_the_group(ledger: Ledger) -> None:
    outcomes = asyncio.run(submit_together(Submitter(ledger, 2), "a", "b", "c"))
    assert [type(outcome) for outcome in outcomes] == [ApiError] * 3
    with pytest.raises(ApiError, match="the limit is 2"):
        Submitter(ledger, 2).submit_all([submission(name) for name in "abc"])
    assert ledger.queries.states() == {}


@pytest.mark.parametrize("error", [OverflowError("too large"), StopIteration(), KeyError("x"), MemoryError()])
def test_unforeseen_error_answers_its_own_submission_alone(ledger: Ledger, error: Exception) -> None:
    def fail() -> Submission:
        raise error

    async def submit_all() -> list[StoredSubmission | BaseException]:
        submitter = Submitter(ledger, 100)
        prepares = [partial(submission, f"r{n}") for n in range(19)]
        return await asyncio.gather(
            *map(submitter.submit, [*prepares[:7], fail, *prepares[7:]]), return_exceptions=True
        )

    outcomes = asyncio.run(submit_all())
    assert [type(outcome) for outcome in outcomes[:7] + outcomes[8:]] == [StoredSubmission] * 19
    assert isinstance(outcomes[7], RuntimeError if isinstance(error, StopIteration) else type(error))
    assert ledger.queries.states() == {State.QUEUED: 19}


def test_value_that_the_ledger_cannot_store_fails_its_own_submission_alone(ledger: Ledger) -> None:
    poison = replace(submission("p"), owner="lone \ud800 surrogate")

    async def submit_all() -> list[StoredSubmission | BaseException]:
        submitter = Submitter(ledger, 100)
        wanted = (partial(submission, "a"), lambda: poison, partial(submission, "b"))
        return await asyncio.gather(*map(submitter.submit, wanted), return_exceptions=True)

    outcomes = asyncio.run(submit_all())
    assert [type(outcome) for outcome in outcomes] == [StoredSubmission, RowError, StoredSubmission]


def test_submissions_go_on_after_a_group_that_could_not_begin(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitter = Submitter(ledger, 100)

    async def submit_twice() -> list[StoredSubmission | BaseException]:
        with monkeypatch.context() as patch:
            patch.setattr(submitter, "_submit_group", lambda _prepares: 1 / 0)
            first = await asyncio.gather(submitter.submit(partial(submission, "a")), return_exceptions=True)
        return [*first, await submitter.submit(partial(submission, "b"))]

    assert [type(each) for each in asyncio.run(submit_twice())] == [ZeroDivisionError, StoredSubmission]


def test_spent_budget_refuses_runs_of_its_tenant_alone(ledger: Ledger) -> None:
    ledger.api_keys.add("alice", "0a", "vision")
    ledger.api_keys.add("bob", "0b", "speech")
    first = replace(submission("first"), owner="alice", key="once")
    Submitter(ledger, 100).submit_all([first])
    ledger.usage.set_budget("vision", 0.0)
    submitter = Submitter(ledger, 100)

    async def together() -> list[StoredSubmission | BaseException]:
        wanted = [first, replace(submission("a"), owner="alice"), replace(submission("b"), owner="bob")]
        return await asyncio.gather(
            *[submitter.submit(lambda each=each: each) for each in wanted], return_exceptions=True
        )

    again, refused, other = asyncio.run(together())

    assert isinstance(again, StoredSubmission)
    assert not again.result.new
    assert isinstance(refused, ApiError)
    assert (refused.status, refused.code) == (429, "budget_used")
    assert isinstance(other, StoredSubmission)
