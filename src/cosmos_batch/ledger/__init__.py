"""The ledger: a database of runs, batches, attempts and measurements."""

from cosmos_batch.ledger.records import Attempt as Attempt
from cosmos_batch.ledger.records import BatchFacts as BatchFacts
from cosmos_batch.ledger.records import Claim as Claim
from cosmos_batch.ledger.records import RunRecord as RunRecord
from cosmos_batch.ledger.records import Standing as Standing
from cosmos_batch.ledger.records import State as State
from cosmos_batch.ledger.records import StateChange as StateChange
from cosmos_batch.ledger.records import Submitted as Submitted
from cosmos_batch.ledger.store import Ledger as Ledger
