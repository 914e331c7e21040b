"""Prometheus metrics of the ledger and of this server's requests."""

from __future__ import annotations

from pathlib import Path

from cosmos_batch.ledger import Ledger, Submission, WorkerState
from cosmos_batch.service.metrics import Metrics
from cosmos_batch.service.queue_view import QueueViewReader
from tests.support.dispatch_world import make_run


def lines_of(metrics: Metrics) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]


def test_queue_and_workers_are_counted_by_state(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(make_run(name, Path("/in.mp4"))) for name in "ab"])
    ledger.workers.report("w", WorkerState.IDLE, forecast={"seconds": 12.5})
    lines = lines_of(Metrics(ledger, QueueViewReader(ledger, flush_seconds=20.0)))
    assert 'cosmos_batch_runs{state="queued"} 2.0' in lines
    assert 'cosmos_batch_workers{state="idle"} 1.0' in lines
    assert "cosmos_batch_planned_seconds 12.5" in lines
    [depth] = [line for line in lines if line.startswith("cosmos_batch_queue_depth")]
    assert depth.endswith('state="queued"} 2.0')


def test_requests_are_counted_by_route_and_status(ledger: Ledger) -> None:
    metrics = Metrics(ledger, QueueViewReader(ledger, flush_seconds=20.0))
    metrics.begin()
    metrics.count("GET", "/v1/videos/{video_id}", 200, 0.02)
    lines = lines_of(metrics)
    assert "cosmos_batch_http_in_flight 1.0" in lines
    assert 'cosmos_batch_http_requests_total{method="GET",route="/v1/videos/{video_id}",status="200"} 1.0' in lines
    assert 'cosmos_batch_http_seconds_bucket{le="0.025",method="GET",route="/v1/videos/{video_id}"} 1.0' in lines
    metrics.end()
    assert "cosmos_batch_http_in_flight 0.0" in lines_of(metrics)
