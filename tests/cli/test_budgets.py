"""`cosmos-batch budgets`: set, list and remove."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.cli.commands.budgets import BudgetRequest, budgets_command
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import InputError
from cosmos_batch.ledger import Ledger


@pytest.fixture
def location(tmp_path: Path) -> ServiceLocation:
    """A service with one tenant."""
    home = ServiceHome(tmp_path / "home")
    home.make()
    ledger = Ledger(home.ledger)
    ledger.api_keys.add("alice", "0a", "vision")
    ledger.close()
    return ServiceLocation(home=home.root)


def test_budget_is_set_listed_and_removed(location: ServiceLocation, capsys: pytest.CaptureFixture[str]) -> None:
    assert budgets_command(BudgetRequest(location, "vision", 3600.0, "day", remove=False)) == 0
    assert "vision\t3600.0 engine seconds a day\t0.0 used" in capsys.readouterr().out

    budgets_command(BudgetRequest(location, "vision", None, "day", remove=True))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("tenant", "seconds", "remove", "message"),
    [
        ("nights", 1.0, False, "has no API key"),
        ("", 1.0, False, "is not given"),
        ("vision", None, False, "must be given"),
        ("vision", 1.0, True, "must be given"),
    ],
)
def test_wrong_budget_is_refused(
    location: ServiceLocation, tenant: str, seconds: float | None, remove: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        budgets_command(BudgetRequest(location, tenant, seconds, "month", remove))
