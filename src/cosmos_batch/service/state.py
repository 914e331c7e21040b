"""AppState: the objects that all routes of one server share, wired once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.drafts import DraftModel
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Traits
from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.batch_jobs.jobs import BatchJobs
from cosmos_batch.service.events import EventStreams
from cosmos_batch.service.http.auth import Authenticator
from cosmos_batch.service.http.rate_limit import RateLimiter
from cosmos_batch.service.metrics import Metrics
from cosmos_batch.service.outlook import OutlookReader
from cosmos_batch.service.prediction import PredictionSettings, Predictor
from cosmos_batch.service.queue_view import QueueViewReader
from cosmos_batch.service.runs.actions import RunActions
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.service.runs.exports import Exports
from cosmos_batch.service.runs.input_names import InputNames
from cosmos_batch.service.runs.media_pool import MediaPools
from cosmos_batch.service.runs.parse_request import RequestParser
from cosmos_batch.service.runs.present import VideoPresenter
from cosmos_batch.service.runs.previews import Previews
from cosmos_batch.service.runs.submit import Submitter
from cosmos_batch.service.runs.uploads import Uploads
from cosmos_batch.service.settings import ServerSettings
from cosmos_batch.service.waiting_plan import WaitingPlan


@dataclass(frozen=True, slots=True)
class ServedEngine:
    """The engine of the workers, as the planner sees it."""

    model: str  # the model's name in the API
    traits: Traits
    prior: CostModel  # the cost model before any measurement
    drafts: tuple[DraftModel, ...] = ()  # models that make the same kind of video at a lower cost


@dataclass(frozen=True, slots=True)
class Access:
    """Checks of every request before a route sees it."""

    authenticator: Authenticator
    rate_limiter: RateLimiter


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files that a server reads and writes."""

    videos: Path  # folder with a folder for each finished run
    uploads: Uploads
    previews: Previews
    pools: MediaPools  # for reading and encoding videos
    allowed: AllowedDirectories  # folders whose files a request may name

    async def playable(self, path: Path) -> Path:
        """Get the file itself if browsers play it, else its preview. Raises ApiError, MediaError, StorageError."""
        if ready := await asyncio.to_thread(self.previews.ready, path):
            return ready
        return await self.pools.previews.run(partial(self.previews.make, path))

    @classmethod
    def open(cls, home: Path, ledger: Ledger, roots: tuple[Path, ...]) -> ServerFiles:
        """Make the folders. Raises InputError for a root that is not a folder, and StorageError."""
        return cls(
            videos=ServiceHome(home).videos,
            uploads=Uploads(home / "uploads", ledger),
            previews=Previews(home / "previews"),
            pools=MediaPools(),
            allowed=AllowedDirectories(roots),
        )


@dataclass(frozen=True, slots=True)
class RunServices:
    """A run's way through the API: parse a request, submit the run, present it, change it, export it."""

    parser: RequestParser
    submitter: Submitter
    presenter: VideoPresenter
    names: InputNames
    actions: RunActions
    exports: Exports


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Outputs about the server itself."""

    log: EventLog
    metrics: Metrics
    streams: EventStreams


class AppState:
    """The objects that the routes of one server share.

    `Submitter.submit`, `RateLimiter` and `EventStreams` belong to the event loop; the rest is safe in any thread.
    """

    def __init__(
        self,
        home: Path,
        ledger: Ledger,
        engine: ServedEngine,
        settings: ServerSettings,
        log: EventLog | None = None,
    ) -> None:
        """Raises InputError for roots that are not folders, StorageError and LedgerError."""
        limits = settings.limits
        log = log or EventLog(sys.stderr, worker="http")
        self.ledger = ledger
        self.engine = engine
        self.settings = settings
        self.files = ServerFiles.open(home, ledger, settings.roots)
        self.queue_view = QueueViewReader(
            ledger,
            settings.flush_seconds,
            ledger.now,
            WaitingPlan(ledger, engine.traits, engine.prior, ledger.now).forecast,
        )
        rules = FlushRules(settings.flush_seconds, settings.flush_runs)
        self.predictor = Predictor(
            ledger, engine.traits, engine.prior, PredictionSettings(settings.prediction, rules)
        )
        self.outlook = OutlookReader(ledger, (engine.traits, engine.prior), rules, ledger.now)
        authenticator = Authenticator(ApiKeyCache(ledger), local=settings.local)
        self.access = Access(
            authenticator,
            RateLimiter(limits.requests_per_second, limits.burst),
        )
        names = InputNames(self.files.uploads.folder, self.files.uploads.name_of)
        presenter = VideoPresenter(
            engine.model,
            engine.traits,
            self.files.videos,
            self.files.uploads.folder,
            self.files.allowed,
            self.queue_view.wait_of,
            names,
        )
        self.runs = RunServices(
            RequestParser(engine.traits, engine.model, self.files.allowed, self.files.uploads.video),
            Submitter(ledger, limits.queue_runs),
            presenter,
            names,
            RunActions(ledger, self.files.videos),
            Exports(ledger, presenter, names, self.files.videos),
        )
        self.batch_jobs = BatchJobs(
            ledger, self.files.uploads, self.runs.parser, self.runs.submitter, self.runs.presenter, limits, log
        )
        self.monitoring = Monitoring(
            log,
            Metrics(ledger, self.queue_view),
            EventStreams(ledger, limits.streams, authenticator.admits),
        )


async def app_state(request: Request) -> AppState:
    """Get the state of the server that answers a request. Async: FastAPI runs plain functions in a thread each."""
    state: AppState = request.app.app_state
    return state


async def key_name(request: Request) -> str:
    """Get the name of the request's API key; "" where no key is needed."""
    state: Mapping[str, Any] = request.scope.get("state", {})
    return str(state.get("key_name", ""))


AppStateDep = Annotated[AppState, Depends(app_state)]
KeyNameDep = Annotated[str, Depends(key_name)]
