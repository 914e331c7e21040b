"""The ledger: a database of runs, batches, attempts and measurements."""

from cosmos_batch.ledger.ledger import Ledger as Ledger
from cosmos_batch.ledger.models import ENDED as ENDED
from cosmos_batch.ledger.models import Attempt as Attempt
from cosmos_batch.ledger.models import BatchFacts as BatchFacts
from cosmos_batch.ledger.models import Claim as Claim
from cosmos_batch.ledger.models import Mode as Mode
from cosmos_batch.ledger.models import Publication as Publication
from cosmos_batch.ledger.models import QueueEntry as QueueEntry
from cosmos_batch.ledger.models import RunRecord as RunRecord
from cosmos_batch.ledger.models import RunStatus as RunStatus
from cosmos_batch.ledger.models import State as State
from cosmos_batch.ledger.models import StateChange as StateChange
from cosmos_batch.ledger.service_models import BatchJobRecord as BatchJobRecord
from cosmos_batch.ledger.service_models import BatchJobState as BatchJobState
from cosmos_batch.ledger.service_models import FileRecord as FileRecord
from cosmos_batch.ledger.service_models import Filter as Filter
from cosmos_batch.ledger.service_models import OutlineRow as OutlineRow
from cosmos_batch.ledger.service_models import Prediction as Prediction
from cosmos_batch.ledger.service_models import RunLabels as RunLabels
from cosmos_batch.ledger.service_models import RunWithAttempt as RunWithAttempt
from cosmos_batch.ledger.service_models import Submission as Submission
from cosmos_batch.ledger.service_models import SubmitResult as SubmitResult
from cosmos_batch.ledger.service_models import Throughput as Throughput
from cosmos_batch.ledger.service_models import WorkerRecord as WorkerRecord
from cosmos_batch.ledger.service_models import WorkerState as WorkerState
