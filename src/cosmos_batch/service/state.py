"""Everything that the routes share, put together once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits
from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.batch_jobs.jobs import BatchJobs
from cosmos_batch.service.events import Streams
from cosmos_batch.service.http.auth import Authenticator
from cosmos_batch.service.http.rate_limit import RateLimiter
from cosmos_batch.service.metrics import Metrics
from cosmos_batch.service.queue_view import QueueViewReader
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.service.runs.parse_request import RequestParser
from cosmos_batch.service.runs.present import VideoPresenter
from cosmos_batch.service.runs.previews import Previews
from cosmos_batch.service.runs.submit import Submitter
from cosmos_batch.service.runs.uploads import Uploads
from cosmos_batch.service.settings import Serving


@dataclass(frozen=True, slots=True)
class ServedEngine:
    """What is served: an engine, as the planner needs it."""

    model: str  # what clients call it
    traits: Traits
    prior: CostModel  # what it is believed to cost before anything is measured


class AppState:
    """The parts of one server."""

    def __init__(
        self, home: Path, ledger: Ledger, served: ServedEngine, serving: Serving, journal: EventLog | None = None
    ) -> None:
        """Raises InputError for roots that are no folders, and StorageError and LedgerError."""
        self.journal = journal or EventLog(sys.stderr, worker="http")
        self.videos = ServiceHome(home).videos
        self.ledger = ledger
        self.served = served
        self.serving = serving
        self.roots = AllowedDirectories(serving.roots)
        self.uploads = Uploads(home / "uploads", ledger)
        self.previews = Previews(home / "previews")
        self.gate = Authenticator(ApiKeyCache(ledger), local=serving.local)
        self.rates = RateLimiter(serving.limits.requests_per_second, serving.limits.burst)
        self.intake = RequestParser(served.traits, served.model, self.roots, self.uploads.video)
        self.outlook = QueueViewReader(ledger)
        self.views = VideoPresenter(
            served.model, self.videos, self.uploads.folder, self.roots, self.outlook.wait_of
        )
        self.submitter = Submitter(ledger, serving.limits.queue_runs)
        self.orders = BatchJobs(ledger, self.uploads, self.intake, self.submitter, self.views, serving.limits)
        self.metrics = Metrics(ledger, self.outlook)
        self.streams = Streams(ledger, serving.limits.streams)


async def service_of(request: Request) -> AppState:
    """The service that answers a request. (Not a plain function: those would be called in a thread each.)"""
    service: AppState = request.app.state.service
    return service


async def caller(request: Request) -> str:
    """The name of the key that a request came with; "" where none is needed."""
    state: Mapping[str, Any] = request.scope.get("state", {})
    return str(state.get("who", ""))


AppStateDep = Annotated[AppState, Depends(service_of)]
Caller = Annotated[str, Depends(caller)]
