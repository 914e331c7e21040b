"""Benchmark of the service: submissions over HTTP during dispatch, the ledger alone, and two other job queues.

    python -m benchmarks.service [--clients 8] [--seconds 10] [--waiting 100000]

SQLite and the simulated engine, whose steps take real time and which loads no model. A submission ends when its
run is in the ledger. A claim is one run claimed and finished without work in between. The other queues get equal
requests from as many processes, without HTTP; so does the ledger alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.dispatching import BACKLOGS, measure_claiming, measure_planning, measure_working
from benchmarks.service_http import measure_http
from benchmarks.service_load import Load, Submit, load
from benchmarks.service_rivals import RIVALS, MissingProgramError
from benchmarks.stage import make_run
from cosmos_batch.ledger import Ledger, Submission

JOBS = 2000  # claimed of each queue


def measure_ledger(clients: int, seconds: float, place: Path) -> Load:
    """Measure processes that submit runs to a ledger, one in each transaction."""
    place.mkdir()
    Ledger(place / "ledger.sqlite").close()

    def connect() -> Submit:
        ledger = Ledger(place / "ledger.sqlite")

        def submit(job: Mapping[str, Any]) -> None:
            run = make_run(f"run-{job['execution_config']['seed']}", place / "in.mp4", prompt=job["prompt"])
            ledger.runs.accept([Submission(run)])

        return submit

    return load(clients, seconds, connect)


def described(found: Load) -> str:
    """Describe a load in words."""
    p50, p99, most = (1e3 * found.percentile(share) for share in (0.5, 0.99, 1.0))
    return f"{found.rate:,.0f} submissions/s; p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.0f} ms"


def show(figures: Mapping[str, float]) -> None:
    """Print figures, one per line."""
    for name, value in figures.items():
        print(f"{name}: {value:,.4g}", flush=True)


def show_service(clients: int, seconds: float, place: Path) -> None:
    """Measure submissions to a server, and print them."""
    found = measure_http(clients, seconds, place)
    print(f"HTTP, {clients} clients, while dispatching: {described(found.load)}")
    print(f"  {found.succeeded:,} runs succeeded meanwhile, and {found.waiting:,} runs wait", flush=True)


def show_rival(
    name: str, measure: Callable[[int, float, int, Path], tuple[Load, float]], place: Path, options: Any
) -> None:
    """Measure another queue if it is installed, and print the figures."""
    try:
        found, claims = measure(options.clients, options.seconds, JOBS, place)
    except (ImportError, MissingProgramError) as exc:
        print(f"{name}: left out: {exc}; pip install --group bench, and the database", flush=True)
        return
    print(f"{name}, {options.clients} processes: {described(found)}; {claims:,.0f} claims/s", flush=True)


def main() -> None:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(description="How fast the service is.")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--waiting", type=int, default=100_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores, load average {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        show_service(options.clients, options.seconds, place / "home")
        ledger = measure_ledger(options.clients, options.seconds, place / "ledger")
        print(f"ledger on SQLite, {options.clients} processes: {described(ledger)}", flush=True)
        show(measure_claiming(place))
        for name, measure in RIVALS:
            show_rival(name, measure, place / name.split()[0], options)
        show(measure_planning(place, options.waiting))
        for step, backlog in BACKLOGS.items():
            show(measure_working(place, step, backlog))


if __name__ == "__main__":
    main()
