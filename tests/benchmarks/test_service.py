"""Speed of the service, at small sizes: our server, our ledger, and rivals that are not installed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import service_load
from benchmarks.service import measure_ledger, show, show_rival
from benchmarks.service_http import measure_http
from benchmarks.service_rivals import MissingProgramError


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count from the first submission on."""
    monkeypatch.setattr(service_load, "WARM_SECONDS", 0.0)


def test_submissions_to_the_ledger_are_measured(tmp_path: Path) -> None:
    load = measure_ledger(1, 0.2, tmp_path / "ledger")

    assert load.rate > 0
    assert load.percentile(0.5) <= load.percentile(1.0)


def test_submissions_over_http_are_measured_while_videos_are_made(tmp_path: Path) -> None:
    found = measure_http(1, 0.3, tmp_path / "home")

    assert found.load.rate > 0
    assert found.succeeded > 0


def test_rival_that_is_not_installed_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(*_: object) -> tuple[service_load.Load, float]:
        raise MissingProgramError("postgres is not installed")

    show_rival("a queue", measure, tmp_path, Namespace(clients=1, seconds=0.1))

    assert "a queue: left out: postgres is not installed" in capsys.readouterr().out


def test_figures_of_a_rival_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load = service_load.Load(2.0, (0.001, 0.002))

    show_rival("a queue", lambda *_: (load, 10.0), tmp_path, Namespace(clients=1, seconds=0.1))
    show({"runs": 1234.0})

    assert capsys.readouterr().out.splitlines() == [
        "a queue, 1 processes: 1 submissions/s; p50 2.0 ms, p99 2.0 ms, at most 2 ms; 10 claims/s",
        "runs: 1,234",
    ]
