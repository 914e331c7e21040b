"""Refuses runs of tenants whose budget of engine time is used up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cosmos_batch.ledger import Ledger, Submission
from cosmos_batch.ledger.service_models import Budget
from cosmos_batch.service.http.errors import ApiError

FRESH_SECONDS = 5.0  # after which the budgets are read again


class Budgets:
    """The spent budgets by the name of the API keys, read again every `FRESH_SECONDS`. Any thread may call it."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._until = float("-inf")
        self._spent: dict[str, Budget] = {}

    def check(self, submission: Submission) -> None:
        """Raise ApiError where the owner's tenant has used its budget, and LedgerError.

        A request that was accepted before, by its idempotency key, is not refused when it is sent again.
        """
        budget = self._read().get(submission.owner) if submission.owner else None
        if budget is None or (submission.key and self._ledger.runs.knows_key(submission.key)):
            return
        wait = datetime.fromisoformat(budget.until).replace(tzinfo=UTC).timestamp() - self._ledger.now()
        raise ApiError(
            429,
            "budget_used",
            f"the tenant {budget.tenant} has used {budget.used:,.0f} of the {budget.seconds:,.0f} engine seconds"
            f" of this {budget.period}; submit again from {budget.until} (UTC) on, or ask for a larger budget",
            headers={"Retry-After": str(max(1, round(wait)))},
        )

    def _read(self) -> dict[str, Budget]:
        if self._clock() >= self._until:
            spent = {budget.tenant: budget for budget in self._ledger.usage.budgets() if budget.spent}
            keys = self._ledger.api_keys.all() if spent else []
            self._spent = {key.name: spent[key.tenant] for key in keys if key.tenant in spent}
            self._until = self._clock() + FRESH_SECONDS
        return self._spent
