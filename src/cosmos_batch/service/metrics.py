"""Prometheus metrics: counters of the ledger, read at each scrape, and the requests of this server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cosmos_batch.dispatch.observe.counters import BOUNDS
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.queue_view import QueueViewReader

_PREFIX = "cosmos_batch_"
_HISTOGRAMS = {
    "wait_seconds": "Seconds from a run's submission to its first attempt",
    "run_seconds": "Seconds of a run's last attempt",
    "batch_seconds": "Seconds of a batch",
    "batch_size": "Runs in a batch",
    "prediction_error": "|predicted - taken| / taken of a batch",
}
_COUNTERS = {
    "retries": "Attempts that were queued again after a failure",
    "splits": "Batches that were split to isolate a run",
    "preemptions": "Runs that were preempted by urgent ones",
    "deaths": "Workers that crashed",
    "poisoned": "Runs that were quarantined after worker crashes",
    "joins": "Runs that joined a running batch",
    "out_of_memory": "Batches that did not fit in memory",
    "steps": "Denoising steps",
    "engine_seconds": "Seconds that engines executed",
    "idle_seconds": "Seconds that runs waited while an engine was idle",
}
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The content of /metrics."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, ledger: Ledger, queue_view: QueueViewReader) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LedgerCollector(ledger, queue_view))
        self._requests = Counter(
            f"{_PREFIX}http_requests", "HTTP requests", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}http_seconds",
            "Seconds to the first byte of a response",
            ["method", "route"],
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            f"{_PREFIX}http_in_flight", "HTTP requests being answered", registry=self._registry
        )

    def begin(self) -> None:
        """Count a request that has begun."""
        self._in_flight.inc()

    def end(self) -> None:
        """Count a request that has ended."""
        self._in_flight.dec()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response; `route` is a path template of the API, never a client's own path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Write all metrics in Prometheus' text format. Raises LedgerError."""
        return generate_latest(self._registry)


class _LedgerCollector(Collector):
    def __init__(self, ledger: Ledger, queue_view: QueueViewReader) -> None:
        self._ledger = ledger
        self._queue_view = queue_view

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not read the ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the current metrics. Raises LedgerError."""
        counters = self._ledger.measurements.counters()
        for name, text in _HISTOGRAMS.items():
            yield _histogram(name, text, {label: v for (counter, label), v in counters.items() if counter == name})
        for name, text in _COUNTERS.items():
            family = CounterMetricFamily(_PREFIX + name, text)
            family.add_metric([], counters.get((name, ""), 0.0))
            yield family
        yield self._idle_share(counters)
        yield from self._depths()
        yield from self._workers()

    def _idle_share(self, counters: Mapping[tuple[str, str], float]) -> Metric:
        idle, busy = counters.get(("idle_seconds", ""), 0.0), counters.get(("engine_seconds", ""), 0.0)
        share = idle / (idle + busy) if idle + busy else 0.0
        text = "Share of the time with waiting or running runs in which engines were idle"
        return GaugeMetricFamily(f"{_PREFIX}idle_share", text, share)

    def _depths(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily(f"{_PREFIX}queue_depth", "Runs that wait or run", labels=["group", "state"])
        for shape in self._ledger.reports.shapes():
            depth.add_metric([shape.shape_label, shape.state], shape.runs)
        yield depth
        runs = GaugeMetricFamily(f"{_PREFIX}runs", "Runs in the ledger", labels=["state"])
        for state, count in self._ledger.queries.states().items():
            runs.add_metric([state], count)
        yield runs

    def _workers(self) -> Iterator[Metric]:
        view = self._queue_view.read()
        workers = GaugeMetricFamily(f"{_PREFIX}workers", "Workers that are alive", labels=["state"])
        states = [worker.state for worker in view.alive]
        for state in sorted(set(states)):
            workers.add_metric([state], states.count(state))
        yield workers
        yield GaugeMetricFamily(f"{_PREFIX}planned_seconds", "Predicted seconds of all waiting runs", view.seconds)


def _histogram(name: str, text: str, parts: Mapping[str, float]) -> Metric:
    total, buckets = 0.0, []
    for bound in BOUNDS[name]:  # also the buckets that are still empty
        total += parts.get(f"le:{bound:g}", 0.0)
        buckets.append((repr(bound), total))
    buckets.append(("+Inf", parts.get("count", total)))
    histogram = HistogramMetricFamily(_PREFIX + name, text)
    histogram.add_metric([], buckets, parts.get("sum", 0.0))
    return histogram
