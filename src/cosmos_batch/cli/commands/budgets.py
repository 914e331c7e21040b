"""`cosmos-batch budgets`: how much engine time the tenants of a service may use."""

from __future__ import annotations

from dataclasses import dataclass

from cosmos_batch.cli.render.text import safe
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import Ledger


@dataclass(frozen=True, slots=True)
class BudgetRequest:
    """Arguments of `cosmos-batch budgets`."""

    location: ServiceLocation
    tenant: str  # whose budget is set; "": all budgets are listed
    seconds: float | None  # of engines in each period; None: not given
    period: str  # "day" or "month"
    remove: bool  # let the tenant use any time


def budgets_command(request: BudgetRequest) -> int:
    """Set the budget of a tenant, or list all; returns the exit code. Raises InputError and LedgerError."""
    if problem := _problem(request):
        raise InputError([problem])
    ledger = request.location.open_known()
    try:
        if request.tenant:
            _set(ledger, request)
        for budget in ledger.usage.budgets():
            used = f"{budget.used:.1f} used until {budget.until}"
            print(f"{safe(budget.tenant)}\t{budget.seconds:.1f} engine seconds a {budget.period}\t{used}")
    finally:
        ledger.close()
    return 0


def _set(ledger: Ledger, request: BudgetRequest) -> None:
    """Set or remove a budget. Raises InputError for a tenant without a key, and LedgerError."""
    tenants = {key.tenant for key in ledger.api_keys.all() if key.tenant}
    if request.tenant not in tenants and not request.remove:
        remedy = f"cosmos-batch keys add HOME NAME --tenant {request.tenant} makes one"
        raise InputError([Problem("", None, "TENANT", repr(request.tenant[:80]), "has no API key", remedy)])
    ledger.usage.set_budget(request.tenant, None if request.remove else request.seconds, request.period)


def _problem(request: BudgetRequest) -> Problem | None:
    if not request.tenant and (request.seconds is not None or request.remove):
        return Problem("", None, "TENANT", "", "is not given", "name the tenant whose budget is to be changed")
    if request.tenant and (request.seconds is None) is not request.remove:
        return Problem("", None, "--seconds", "", "must be given, or --remove", "give one of them")
    return None
