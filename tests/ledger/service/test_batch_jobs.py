"""Records of batch jobs."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.ledger import (
    BatchJobRecord,
    BatchJobState,
    Ledger,
    State,
    Submission,
)
from tests.support.ledger import Clock, make_run


def make_job(order_id: str, clock: Clock) -> BatchJobRecord:
    return BatchJobRecord(
        id=order_id,
        input_file="file-1",
        endpoint="/v1/videos",
        window="24h",
        state=BatchJobState.VALIDATING,
        details={"project": "night"},
        owner="alice",
        errors=[],
        output_file="",
        error_file="",
        total=2,
        created=clock.now,
    )


def test_batch_job_counts_its_runs(ledger: Ledger, clock: Clock) -> None:
    order = make_job("batch_1", clock)
    ledger.batch_jobs.add(order)
    clock.now += 1
    ledger.batch_jobs.add(make_job("batch_2", clock))
    ledger.runs.accept([Submission(make_run("b"), batch_job_id="batch_1", custom_id="two", line=2)])
    ledger.runs.accept([Submission(make_run("a"), batch_job_id="batch_1", custom_id="one", line=1)])
    ledger.runs.cancel(["a"])

    assert ledger.batch_jobs.get("batch_1") == order
    assert ledger.batch_jobs.counts("batch_1") == {State.QUEUED: 1, State.CANCELLED: 1}
    assert list(ledger.batch_jobs.runs("batch_1")) == [("a", "one"), ("b", "two")]
    assert ledger.batch_jobs.change(
        "batch_1", only=[BatchJobState.VALIDATING], state=BatchJobState.IN_PROGRESS, started=5.0
    )
    assert not ledger.batch_jobs.change("batch_1", only=[BatchJobState.VALIDATING], state=BatchJobState.CANCELLED)
    assert [found.id for found in ledger.batch_jobs.page()] == ["batch_2", "batch_1"]
    assert [found.id for found in ledger.batch_jobs.page(after="batch_2")] == ["batch_1"]
    assert [found.id for found in ledger.batch_jobs.page(states=[BatchJobState.IN_PROGRESS])] == ["batch_1"]
    assert ledger.batch_jobs.get("batch_3") is None


def test_job_is_open_to_the_service_that_has_its_files(ledger: Ledger, clock: Clock) -> None:
    ledger.batch_jobs.add(make_job("batch_1", clock))
    ledger.batch_jobs.add(replace(make_job("batch_2", clock), service="one"))
    ledger.batch_jobs.add(replace(make_job("batch_3", clock), state=BatchJobState.COMPLETED))

    found = {name: ledger.batch_jobs.open([BatchJobState.VALIDATING], name) for name in ("one", "two")}

    assert [job.id for job in found["one"]] == ["batch_1", "batch_2"]
    assert [job.id for job in found["two"]] == ["batch_1"]
