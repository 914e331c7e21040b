"""Engine time of each day, by tenant and model, and the budgets of tenants."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, delete, func, select

from cosmos_batch.ledger.database.schema import api_keys, attempts, batches, budgets, runs, usage
from cosmos_batch.ledger.database.transactions import Component, Database
from cosmos_batch.ledger.models import State
from cosmos_batch.ledger.service_models import Budget, UsageTotal


class UsageBy(StrEnum):
    """What engine time is added up by."""

    TENANT = "tenant"
    MODEL = "model"
    DAY = "day"


class SqlUsage(Component):
    """Adds up the engine time that was used, and bounds it."""

    def totals(self, by: UsageBy, since: str = "", until: str = "") -> list[UsageTotal]:
        """Return the time by tenant, model or day, in the order of their names.

        `since`, `until`: the first and the last day, UTC ("2026-11-30"); "": no bound.
        """
        column = usage.c[by.value]
        query = select(column, func.sum(usage.c.seconds), func.sum(usage.c.runs)).group_by(column)
        if since:
            query = query.where(usage.c.day >= since)
        if until:
            query = query.where(usage.c.day <= until)
        with self._db.read() as connection:
            return [UsageTotal(*row) for row in connection.execute(query.order_by(column))]

    def set_budget(self, tenant: str, seconds: float | None, period: str = "month") -> None:
        """Let a tenant use so much engine time in each `period`, "day" or "month"; None: any."""
        with self._db.write() as connection:
            if seconds is None:
                connection.execute(delete(budgets).where(budgets.c.tenant == tenant))
                return
            row = {"tenant": tenant, "seconds": seconds, "period": period}
            self._db.dialect.upsert(
                connection, budgets, [row], lambda new: {name: new[name] for name in ("seconds", "period")}
            )

    def budgets(self) -> list[Budget]:
        """Return the budgets of all tenants that have one, by name."""
        today = datetime.fromtimestamp(self._db.clock(), UTC).date()
        with self._db.read() as connection:
            rows = connection.execute(select(budgets).order_by(budgets.c.tenant)).all()
            return [self._budget(connection, row.tenant, row.seconds, row.period, today) for row in rows]

    def _budget(self, connection: Connection, tenant: str, seconds: float, period: str, today: date) -> Budget:
        since = today if period == "day" else today.replace(day=1)
        following = since + timedelta(days=1) if period == "day" else (since + timedelta(days=31)).replace(day=1)
        mine = (usage.c.tenant == tenant, usage.c.day >= since.isoformat())
        used = connection.scalar(select(func.coalesce(func.sum(usage.c.seconds), 0.0)).where(*mine)) or 0.0
        return Budget(tenant, seconds, period, used, following.isoformat())


def store_usage(database: Database, connection: Connection, batch: int, seconds: float) -> None:
    """Share the engine time of a batch whose attempts have ended among the tenants of its runs.

    Each attempt counts by the time that it was in the batch; the shares sum to `seconds`.
    """
    now = database.clock()
    spent = func.coalesce(attempts.c.ended, now) - attempts.c.started
    query = (
        select(batches.c.engine, func.coalesce(api_keys.c.tenant, ""), spent, attempts.c.outcome)
        .select_from(attempts.join(batches).join(runs, runs.c.id == attempts.c.run))
        .outerjoin(api_keys, api_keys.c.name == runs.c.owner)
        .where(attempts.c.batch == batch)
    )
    rows = connection.execute(query).all()
    times: Counter[tuple[str, str]] = Counter()
    succeeded: Counter[tuple[str, str]] = Counter()
    for model, tenant, taken, outcome in rows:
        times[tenant, model] += max(taken, 1e-9)  # of clocks that were set back: all alike
        succeeded[tenant, model] += outcome == State.SUCCEEDED
    day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    whole = sum(times.values())
    shares = [
        {"day": day, "tenant": tenant, "model": model, "seconds": seconds * taken / whole, "runs": made}
        for (tenant, model), taken in times.items()
        for made in [succeeded[tenant, model]]
    ]
    database.dialect.upsert(
        connection,
        usage,
        shares,
        lambda new: {name: usage.c[name] + new[name] for name in ("seconds", "runs")},
    )
