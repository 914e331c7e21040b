"""The ledger: what was asked for, where each run is, who is at work on it, and what it cost.

Every function is one transaction. None of them uses what only SQLite has.
"""

from __future__ import annotations

from cosmos_batch.ledger.crashes import Burying
from cosmos_batch.ledger.measurements import Learning
from cosmos_batch.ledger.queries import Looking
from cosmos_batch.ledger.reports import Reporting
from cosmos_batch.ledger.runs import Asking
from cosmos_batch.ledger.workers import Files, Keys, Minding, Orders


class Ledger(Asking, Looking, Burying, Learning, Orders, Files, Keys, Minding, Reporting):
    """The database of runs, batches, attempts, measurements, and what a service keeps beside them.

    Everything raises LedgerError.
    """
