"""Group commit of submissions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cosmos_batch.errors import ConflictError, InputError, Problem
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
