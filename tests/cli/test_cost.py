"""`cosmos-batch cost`: engine time by tenant, model and day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.cli.commands.cost import CostRequest, cost_command
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import InputError
from cosmos_batch.ledger import Ledger, State, Submission
from cosmos_batch.ledger.service.usage import UsageBy
from tests.support.ledger import claim, make_run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A service that has spent 30 seconds on a run of a tenant."""
    made = ServiceHome(tmp_path / "home")
    made.make()
    ledger = Ledger(made.ledger, lambda: 1000.0)
    ledger.api_keys.add("alice", "0a", "night")
    ledger.runs.accept([Submission(make_run("a"), owner="alice")])
    claimed = claim(ledger, "a")
    ledger.attempts.finish(claimed.attempts["a"], State.SUCCEEDED)
    ledger.attempts.end_batch(claimed.batch, seconds=30.0)
    ledger.close()
    return made.root


def request(home: Path, *, since: str = "", until: str = "", as_json: bool = False) -> CostRequest:
    return CostRequest(ServiceLocation(home=home), UsageBy.TENANT, since, until, as_json)


def test_time_is_printed_with_its_sum(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost_command(request(home)) == 0

    heading, row, total = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["tenant", "runs", "engine", "seconds", "hours", "share"]
    assert row == ["night", "1", "30.0", "0.01", "100.0%"]
    assert total == ["total", "1", "30.0", "0.01"]


def test_time_is_printed_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost_command(request(home, as_json=True)) == 0

    assert json.loads(capsys.readouterr().out) == [{"name": "night", "seconds": pytest.approx(30.0), "runs": 1}]


def test_all_bad_days_are_named(home: Path) -> None:
    with pytest.raises(InputError) as raised:
        cost_command(request(home, since="yesterday", until="2026-02-30"))

    assert [problem.field for problem in raised.value.problems] == ["--since", "--until"]


def test_folder_without_a_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no service ran in it"):
        cost_command(request(tmp_path / "elsewhere"))

    assert not (tmp_path / "elsewhere").exists()
