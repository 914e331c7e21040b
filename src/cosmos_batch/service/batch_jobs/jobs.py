"""Batches of OpenAI's Batches API, which the ledger calls orders: a file of requests in, files of answers out."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.errors import ConflictError, InputError
from cosmos_batch.ledger import BatchJobRecord, BatchJobState, Filter, Ledger, RunWithAttempt, State, Submission
from cosmos_batch.ledger.models import ENDED
from cosmos_batch.service.batch_jobs.lines import Line, lines_of
from cosmos_batch.service.http.errors import ApiError, bad_input, error_of
from cosmos_batch.service.runs.parse_request import RequestParser
from cosmos_batch.service.runs.present import VideoPresenter
from cosmos_batch.service.runs.submit import Submitter
from cosmos_batch.service.runs.uploads import BATCH, Uploads
from cosmos_batch.service.schemas.batches import BatchRequest
from cosmos_batch.service.settings import Limits

ENDPOINT = "/v1/videos"
OPEN = (BatchJobState.VALIDATING, BatchJobState.IN_PROGRESS, BatchJobState.FINALIZING, BatchJobState.CANCELLING)
SHOWN_ERRORS = 100  # of an order's bad lines; its error file has them all
_TOGETHER = 500  # lines in one transaction
_RETRY_SECONDS = 10.0  # until an order is tried again for which there was no room in the queue


class BatchJobs:
    """Takes orders in, and brings them to their end."""

    def __init__(
        self,
        ledger: Ledger,
        uploads: Uploads,
        intake: RequestParser,
        submitter: Submitter,
        views: VideoPresenter,
        limits: Limits,
    ) -> None:
        self._ledger = ledger
        self._uploads = uploads
        self._intake = intake
        self._submitter = submitter
        self._views = views
        self._limits = limits
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()

    def create(self, request: BatchRequest, owner: str) -> BatchJobRecord:
        """Take an order down; its lines are read by and by. Raises Refusal."""
        if request.endpoint != ENDPOINT:
            raise ApiError(400, "invalid_value", f"the only endpoint for batches is {ENDPOINT}", param="endpoint")
        file = self._uploads.get(request.input_file_id)
        if file.purpose != BATCH:
            message = f"the file {file.id} was uploaded with purpose {file.purpose!r}; upload it with {BATCH!r}"
            raise ApiError(400, "invalid_value", message, param="input_file_id")
        order = BatchJobRecord(
            id=f"batch_{secrets.token_hex(12)}",
            input_file=file.id,
            endpoint=request.endpoint,
            window=request.completion_window,
            state=BatchJobState.VALIDATING,
            details=request.metadata or {},
            owner=owner,
            errors=(),
            output_file="",
            error_file="",
            total=0,
            created=time.time(),
        )
        self._ledger.batch_jobs.add(order)
        return order

    def get(self, order_id: str) -> BatchJobRecord:
        """One order. Raises Refusal."""
        order = self._ledger.batch_jobs.get(order_id)
        if order is None:
            raise ApiError(404, "not_found", f"there is no batch {order_id[:80]!r} here")
        return order

    def cancel(self, order_id: str) -> BatchJobRecord:
        """Cancel what has not ended of an order. Raises Refusal where it has ended itself."""
        order = self.get(order_id)
        changed = self._ledger.batch_jobs.change(
            order_id, only=OPEN[:2], state=BatchJobState.CANCELLING, cancelling=time.time()
        )
        if not changed and order.state is not BatchJobState.CANCELLING:
            raise ApiError(409, "wrong_state", f"the batch {order_id} has ended already: {order.state}")
        self._cancel_runs(order_id)
        return self.get(order_id)

    def _cancel_runs(self, order_id: str) -> None:
        ids = [run for run, _ in self._ledger.batch_jobs.runs(order_id)]
        self._ledger.runs.cancel(ids, f"its batch {order_id} was cancelled")

    def advance(self) -> None:
        """Take every open order as far as it goes now. Raises LedgerError and StorageError."""
        with self._lock:
            for order in reversed(self._ledger.batch_jobs.page(states=OPEN, limit=1000)):
                if order.state is not BatchJobState.VALIDATING:
                    self._finish(order)
                elif self._not_before.get(order.id, 0.0) <= time.monotonic():
                    self._take_in(order)

    def _take_in(self, order: BatchJobRecord) -> None:
        """Make runs of an order's lines. Started again after a crash, it makes none twice."""
        lines = _Lines(order, self._intake, self._submitter)
        try:
            with self._path_of(order).open("rb") as stream:
                for line in lines_of(stream, self._limits.body_bytes):
                    lines.take(line)
                    if lines.total > min(self._limits.batch_lines, self._limits.queue_runs):
                        self._fail(order, lines, "too_many_lines", f"more than {lines.total - 1:,} lines")
                        return
            lines.flush()
        except ApiError as refusal:  # the queue is full: later
            self._not_before[order.id] = time.monotonic() + _RETRY_SECONDS
            if refusal.status != 429:
                raise
            return
        except OSError as exc:
            self._fail(order, lines, "file_lost", f"the input file cannot be read: {exc.strerror}")
            return
        self._begin(order, lines)

    def _begin(self, order: BatchJobRecord, lines: _Lines) -> None:
        with folder_errors(self._uploads.folder):
            self._bad_lines(order.id).write_text("".join(f"{text}\n" for text in lines.bad), encoding="utf-8")
        if not lines.good:
            self._fail(order, lines, "no_valid_line", "not one line of the file is a valid request")
            return
        errors = lines.errors[:SHOWN_ERRORS]
        values: dict[str, Any] = {"total": lines.total, "errors": errors, "started": time.time()}
        begun = self._ledger.batch_jobs.change(
            order.id, only=[BatchJobState.VALIDATING], state=BatchJobState.IN_PROGRESS, **values
        )
        if not begun and self.get(order.id).state is BatchJobState.CANCELLING:  # meanwhile
            self._ledger.batch_jobs.change(order.id, **values)
            self._cancel_runs(order.id)

    def _fail(self, order: BatchJobRecord, lines: _Lines, code: str, message: str) -> None:
        self._cancel_runs(order.id)
        errors = [{"code": code, "line": None, "message": message, "param": None}, *lines.errors[:SHOWN_ERRORS]]
        error_file = self._uploads.write(f"file-e{order.id[6:]}", "errors.jsonl", lines.bad, order.owner).id
        self._ledger.batch_jobs.change(
            order.id,
            only=[BatchJobState.VALIDATING],
            state=BatchJobState.FAILED,
            total=lines.total,
            errors=errors,
            error_file=error_file,
            ended=time.time(),
        )

    def _finish(self, order: BatchJobRecord) -> None:
        """Write the answers down, once every run of an order has ended."""
        counts = self._ledger.batch_jobs.counts(order.id)
        if any(count for state, count in counts.items() if state not in ENDED):
            return
        output = error = ""
        if counts.get(State.SUCCEEDED):
            answers = (self._answer(look) for look in self._looks(order.id, [State.SUCCEEDED]))
            output = self._uploads.write(f"file-o{order.id[6:]}", "output.jsonl", answers, order.owner).id
        if sum(counts.values()) < order.total or sum(counts.values()) > counts.get(State.SUCCEEDED, 0):
            rest = [state for state in ENDED if state is not State.SUCCEEDED]
            failed = (self._answer(look) for look in self._looks(order.id, rest))
            texts = chain(self._read_bad_lines(order.id), failed)
            error = self._uploads.write(f"file-e{order.id[6:]}", "errors.jsonl", texts, order.owner).id
        cancelled = order.state is BatchJobState.CANCELLING
        final = BatchJobState.CANCELLED if cancelled else BatchJobState.COMPLETED
        self._ledger.batch_jobs.change(
            order.id, only=[order.state], state=final, output_file=output, error_file=error, ended=time.time()
        )
        with suppress(OSError):
            self._bad_lines(order.id).unlink()

    def _looks(self, order_id: str, states: Sequence[State]) -> Iterator[RunWithAttempt]:
        after = ""
        while True:
            page = self._ledger.queries.page(
                Filter(batch_job_id=order_id, states=states), after=after, limit=500, newest_first=False
            )
            yield from page.runs
            if not page.more:
                return
            after = page.runs[-1].record.id

    def _answer(self, look: RunWithAttempt) -> str:
        """A line of an output or error file."""
        video = self._views.video(look)
        response = {"status_code": 200, "request_id": video.id, "body": video.model_dump()}
        error = video.error.model_dump() if video.error else None
        return answer_line(f"batch_req_{video.id}", video.custom_id, response, error)

    def _path_of(self, order: BatchJobRecord) -> Path:
        file = self._ledger.files.get(order.input_file)
        if file is None:
            raise FileNotFoundError(2, "it was deleted")
        return Path(file.path)

    def _bad_lines(self, order_id: str) -> Path:
        return self._uploads.folder / f"{order_id}.bad.jsonl"

    def _read_bad_lines(self, order_id: str) -> Iterator[str]:
        with suppress(FileNotFoundError), self._bad_lines(order_id).open(encoding="utf-8") as stream:
            for line in stream:
                yield line.rstrip("\n")


def answer_line(
    request_id: str, custom_id: str | None, response: Mapping[str, Any] | None, error: Mapping[str, Any] | None
) -> str:
    """A line of an output or error file, as the Batches API has it."""
    line = {"id": request_id, "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(line, ensure_ascii=False)


@dataclass(slots=True)
class _Lines:
    """The lines of one order while they become runs."""

    order: BatchJobRecord
    intake: RequestParser
    submitter: Submitter
    total: int = 0
    good: int = 0
    bad: list[str] = field(default_factory=list)  # lines of the error file
    errors: list[dict[str, Any]] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)  # lines by custom id
    _pending: list[tuple[Line, Submission]] = field(default_factory=list)

    def take(self, line: Line) -> None:
        """Read one line. Raises Refusal where the queue is full, LedgerError and StorageError."""
        self.total += 1
        try:
            body = line.request(self._seen, ENDPOINT)
            taken = self.intake.run_of(body, f"{self.order.id}-{line.number}")
        except InputError as exc:
            self._reject(line, bad_input(exc.problems))
            return
        except ApiError as refusal:
            self._reject(line, refusal)
            return
        submission = Submission(
            run=taken.run,
            facts=taken.facts,
            owner=self.order.owner,
            key=f"order:{self.order.id}:{line.number}",
            batch_job_id=self.order.id,
            custom_id=line.custom_id,
            line=line.number,
        )
        self._pending.append((line, submission))
        if len(self._pending) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Hand over what was read."""
        pending, self._pending = self._pending, []
        try:
            self.submitter.submit_all([submission for _, submission in pending])
            self.good += len(pending)
        except ConflictError:
            for line, submission in pending:
                self._hand_over(line, submission)

    def _hand_over(self, line: Line, submission: Submission) -> None:
        try:
            self.submitter.submit_all([submission])
            self.good += 1
        except ConflictError as exc:
            self._reject(line, ApiError(409, "conflict", str(exc)))

    def _reject(self, line: Line, refusal: ApiError) -> None:
        error = error_of(refusal)
        response = {"status_code": refusal.status, "request_id": "", "body": {"error": error}}
        brief = {"code": error["code"], "message": error["message"]}
        request_id = f"batch_req_{self.order.id}-{line.number}"
        self.bad.append(answer_line(request_id, line.custom_id or None, response, brief))
        self.errors.append(brief | {"line": line.number, "param": error["param"]})
