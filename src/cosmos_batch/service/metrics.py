"""Prometheus metrics: the ledger's tallies, read when they are asked for, and what this server answered."""

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
    "batch_seconds": "Seconds that a batch took",
    "batch_size": "Runs in a batch",
    "prediction_error": "|predicted - taken| / taken of a batch",
}
_COUNTERS = {
    "retries": "Attempts that were queued again after a failure",
    "splits": "Batches that were split to isolate a run",
    "preemptions": "Runs that were set aside for urgent ones",
    "deaths": "Workers that died",
    "poisoned": "Runs set aside because workers died of them",
    "joins": "Runs that joined a batch under way",
    "out_of_memory": "Batches that did not fit",
    "steps": "Denoising steps taken",
    "engine_seconds": "Seconds that engines were at work",
    "idle_seconds": "Seconds that runs waited while an engine did nothing",
}
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """What /metrics shows."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, ledger: Ledger, outlook: QueueViewReader) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LedgerCollector(ledger, outlook))
        self._requests = Counter(
            f"{_PREFIX}http_requests", "HTTP requests", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}http_seconds",
            "Seconds to the first byte of an answer",
            ["method", "route"],
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._streams = Gauge(f"{_PREFIX}http_in_flight", "HTTP requests being answered", registry=self._registry)

    def begun(self) -> None:
        """A request has come."""
        self._streams.inc()

    def ended(self) -> None:
        """A request is over."""
        self._streams.dec()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is one of ours, never a path that a client made up."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them. Raises LedgerError."""
        return generate_latest(self._registry)


class _LedgerCollector(Collector):
    def __init__(self, ledger: Ledger, outlook: QueueViewReader) -> None:
        self._ledger = ledger
        self._outlook = outlook

    def describe(self) -> list[Metric]:
        """Nothing is known before the ledger is asked."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        tallies = self._ledger.measurements.counters()
        for name, text in _HISTOGRAMS.items():
            yield _histogram(name, text, {label: v for (tally, label), v in tallies.items() if tally == name})
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(_PREFIX + name, text)
            counter.add_metric([], tallies.get((name, ""), 0.0))
            yield counter
        yield self._idle_share(tallies)
        yield from self._depths()
        yield from self._workers()

    def _idle_share(self, tallies: Mapping[tuple[str, str], float]) -> Metric:
        idle, busy = tallies.get(("idle_seconds", ""), 0.0), tallies.get(("engine_seconds", ""), 0.0)
        share = idle / (idle + busy) if idle + busy else 0.0
        text = "Share of the time with runs waiting or running that engines did nothing"
        return GaugeMetricFamily(f"{_PREFIX}idle_share", text, share)

    def _depths(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily(f"{_PREFIX}queue_depth", "Runs that wait or run", labels=["group", "state"])
        for kind in self._ledger.reports.shapes():
            depth.add_metric([kind.shape_label, kind.state], kind.runs)
        yield depth
        runs = GaugeMetricFamily(f"{_PREFIX}runs", "Runs in the ledger", labels=["state"])
        for state, count in self._ledger.queries.states().items():
            runs.add_metric([state], count)
        yield runs

    def _workers(self) -> Iterator[Metric]:
        outlook = self._outlook.read()
        workers = GaugeMetricFamily(f"{_PREFIX}workers", "Workers that are alive", labels=["state"])
        states = [worker.state for worker in outlook.alive]
        for state in sorted(set(states)):
            workers.add_metric([state], states.count(state))
        yield workers
        yield GaugeMetricFamily(
            f"{_PREFIX}planned_seconds", "Predicted seconds of all that waits", outlook.seconds
        )


def _histogram(name: str, text: str, parts: Mapping[str, float]) -> Metric:
    total, buckets = 0.0, []
    for bound in BOUNDS[name]:  # all of them, also those that nothing fell under yet
        total += parts.get(f"le:{bound:g}", 0.0)
        buckets.append((repr(bound), total))
    buckets.append(("+Inf", parts.get("count", total)))
    histogram = HistogramMetricFamily(_PREFIX + name, text)
    histogram.add_metric([], buckets, parts.get("sum", 0.0))
    return histogram
