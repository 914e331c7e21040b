"""Batch jobs: OpenAI's Batches API, with a file of requests as input and files of results as output."""

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

from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.errors import LedgerError, RowError
from cosmos_batch.ledger import BatchJobRecord, BatchJobState, Filter, Ledger, RunWithAttempt, State, Submission
from cosmos_batch.ledger.models import ENDED
from cosmos_batch.service.batch_jobs.lines import BatchLine, lines_of
from cosmos_batch.service.http.errors import ApiError, api_error_of, error_object
from cosmos_batch.service.runs.parse_request import RequestParser
from cosmos_batch.service.runs.present import VideoPresenter
from cosmos_batch.service.runs.submit import Submitter
from cosmos_batch.service.runs.uploads import BATCH, Uploads
from cosmos_batch.service.schemas.batches import BatchRequest
from cosmos_batch.service.settings import Limits

ENDPOINT = "/v1/videos"
OPEN = (BatchJobState.VALIDATING, BatchJobState.IN_PROGRESS, BatchJobState.FINALIZING, BatchJobState.CANCELLING)
SHOWN_ERRORS = 100  # of a job's bad lines; its error file has them all
_GROUP_SIZE = 500  # lines in one transaction
_RETRY_SECONDS = 10.0  # after which a job is submitted again that found the queue full


class BatchJobs:
    """Creates batch jobs, submits their lines as runs, and writes their results."""

    def __init__(
        self,
        ledger: Ledger,
        uploads: Uploads,
        parser: RequestParser,
        submitter: Submitter,
        presenter: VideoPresenter,
        limits: Limits,
        log: EventLog,
    ) -> None:
        self._ledger = ledger
        self._uploads = uploads
        self._parser = parser
        self._submitter = submitter
        self._presenter = presenter
        self._limits = limits
        self._log = log
        self._not_before: dict[str, float] = {}  # time.monotonic() of the next try, by job
        self._lock = threading.Lock()  # one `advance` at a time

    def create(self, request: BatchRequest, owner: str) -> BatchJobRecord:
        """Create a batch job. Its file is parsed later, by `advance`. Raises ApiError and LedgerError."""
        if request.endpoint != ENDPOINT:
            raise ApiError(400, "invalid_value", f"the only endpoint for batches is {ENDPOINT}", param="endpoint")
        file = self._uploads.get(request.input_file_id)
        if file.purpose != BATCH:
            message = f"the file {file.id} was uploaded with purpose {file.purpose!r}; upload it with {BATCH!r}"
            raise ApiError(400, "invalid_value", message, param="input_file_id")
        job = BatchJobRecord(
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
            created=self._ledger.now(),
            service=self._ledger.service,
        )
        self._ledger.batch_jobs.add(job)
        return job

    def get(self, job_id: str) -> BatchJobRecord:
        """Get a job. Raises ApiError for an unknown id, and LedgerError."""
        job = self._ledger.batch_jobs.get(job_id)
        if job is None:
            raise ApiError(404, "not_found", f"there is no batch {job_id[:80]!r} here")
        return job

    def cancel(self, job_id: str) -> BatchJobRecord:
        """Cancel the runs of a job that have not ended. Raises ApiError for a job that has ended, LedgerError."""
        job = self.get(job_id)
        changed = self._ledger.batch_jobs.change(
            job_id, only=OPEN[:2], state=BatchJobState.CANCELLING, cancelling=self._ledger.now()
        )
        if not changed and job.state is not BatchJobState.CANCELLING:
            raise ApiError(409, "wrong_state", f"the batch {job_id} has already ended: {job.state}")
        self._cancel_runs(job_id)
        return self.get(job_id)

    def _cancel_runs(self, job_id: str) -> None:
        ids = [run for run, _ in self._ledger.batch_jobs.runs(job_id)]
        self._ledger.runs.cancel(ids, f"its batch {job_id} was cancelled")

    def advance(self) -> None:
        """Submit the lines of new jobs; write the results of finished ones. Raises LedgerError, StorageError.

        Where several services share the ledger, each advances the jobs whose files it has. A job that raises is
        tried again after `_RETRY_SECONDS`; the other jobs advance meanwhile. The first error is raised once all
        jobs had their turn.
        """
        first: Exception | None = None
        with self._lock:
            jobs = self._ledger.batch_jobs.open(OPEN, self._ledger.service)
            for job in [job for job in jobs if self._not_before.get(job.id, 0.0) <= time.monotonic()]:
                try:
                    self._advance(job)
                except Exception as exc:
                    self._not_before[job.id] = time.monotonic() + _RETRY_SECONDS
                    first = first or exc
        if first is not None:
            raise first

    def _advance(self, job: BatchJobRecord) -> None:
        if job.state is BatchJobState.VALIDATING:
            self._submit_lines(job)
        else:
            self._finish(job)

    def _submit_lines(self, job: BatchJobRecord) -> None:
        """Submit the lines of a job as runs. Idempotent: repeated after a crash, no run is submitted twice."""
        lines = _LineSubmitter(job, self._parser, self._submitter, self._log)
        file = self._ledger.files.get(job.input_file)
        if file is None:
            self._fail(job, lines, "file_lost", "the input file was deleted")
            return
        try:
            with Path(file.path).open("rb") as stream:
                for line in lines_of(stream, self._limits.body_bytes):
                    lines.add(line)
                    if lines.total > min(self._limits.batch_lines, self._limits.queue_runs):
                        self._fail(job, lines, "too_many_lines", f"more than {lines.total - 1:,} lines")
                        return
            lines.flush()
        except ApiError as exc:
            if exc.status != 429:
                raise
            self._not_before[job.id] = time.monotonic() + _RETRY_SECONDS  # the queue is full
            return
        except OSError as exc:
            self._fail(job, lines, "file_lost", f"the input file cannot be read: {exc.strerror}")
            return
        self._begin(job, lines)

    def _begin(self, job: BatchJobRecord, lines: _LineSubmitter) -> None:
        if not lines.good:
            self._fail(job, lines, "no_valid_line", "no line of the file is a valid request")
            return
        with folder_errors(self._uploads.folder):
            self._bad_lines_path(job.id).write_text("".join(f"{text}\n" for text in lines.bad), encoding="utf-8")
        errors = lines.errors[:SHOWN_ERRORS]
        values: dict[str, Any] = {"total": lines.total, "errors": errors, "started": self._ledger.now()}
        begun = self._ledger.batch_jobs.change(
            job.id, only=[BatchJobState.VALIDATING], state=BatchJobState.IN_PROGRESS, **values
        )
        if not begun and self.get(job.id).state is BatchJobState.CANCELLING:  # meanwhile
            self._ledger.batch_jobs.change(job.id, **values)
            self._cancel_runs(job.id)

    def _fail(self, job: BatchJobRecord, lines: _LineSubmitter, code: str, message: str) -> None:
        self._cancel_runs(job.id)
        errors = [{"code": code, "line": None, "message": message, "param": None}, *lines.errors[:SHOWN_ERRORS]]
        error_file = self._uploads.write(f"file-e{job.id[6:]}", "errors.jsonl", lines.bad, job.owner).id
        self._ledger.batch_jobs.change(
            job.id,
            only=[BatchJobState.VALIDATING],
            state=BatchJobState.FAILED,
            total=lines.total,
            errors=errors,
            error_file=error_file,
            ended=self._ledger.now(),
        )

    def _finish(self, job: BatchJobRecord) -> None:
        """Write the result files of a job once all its runs have ended."""
        counts = self._ledger.batch_jobs.counts(job.id)
        if any(count for state, count in counts.items() if state not in ENDED):
            return
        output = error = ""
        if counts.get(State.SUCCEEDED):
            results = (self._result_line(found) for found in self._runs(job.id, [State.SUCCEEDED]))
            output = self._uploads.write(f"file-o{job.id[6:]}", "output.jsonl", results, job.owner).id
        if sum(counts.values()) < job.total or sum(counts.values()) > counts.get(State.SUCCEEDED, 0):
            rest = [state for state in ENDED if state is not State.SUCCEEDED]
            failed = (self._result_line(found) for found in self._runs(job.id, rest))
            texts = chain(self._read_bad_lines(job.id), failed)
            error = self._uploads.write(f"file-e{job.id[6:]}", "errors.jsonl", texts, job.owner).id
        cancelled = job.state is BatchJobState.CANCELLING
        final = BatchJobState.CANCELLED if cancelled else BatchJobState.COMPLETED
        self._ledger.batch_jobs.change(
            job.id, only=[job.state], state=final, output_file=output, error_file=error, ended=self._ledger.now()
        )
        with suppress(OSError):
            self._bad_lines_path(job.id).unlink()

    def _runs(self, job_id: str, states: Sequence[State]) -> Iterator[RunWithAttempt]:
        after = ""
        while True:
            page = self._ledger.queries.page(
                Filter(batch_job_id=job_id, states=states), after=after, limit=500, newest_first=False
            )
            yield from page.runs
            if not page.more:
                return
            after = page.runs[-1].record.id

    def _result_line(self, found: RunWithAttempt) -> str:
        """Make the line of a run in the output or error file."""
        video = self._presenter.video(found)
        response = {"status_code": 200, "request_id": video.id, "body": video.model_dump()}
        error = video.error.model_dump() if video.error else None
        return result_line(f"batch_req_{video.id}", video.custom_id, response, error)

    def _bad_lines_path(self, job_id: str) -> Path:
        return self._uploads.folder / f"{job_id}.bad.jsonl"

    def _read_bad_lines(self, job_id: str) -> Iterator[str]:
        with suppress(FileNotFoundError), self._bad_lines_path(job_id).open(encoding="utf-8") as stream:
            for line in stream:
                yield line.rstrip("\n")


def result_line(
    request_id: str, custom_id: str | None, response: Mapping[str, Any] | None, error: Mapping[str, Any] | None
) -> str:
    """Make a line of an output or error file, in the format of the Batches API."""
    line = {"id": request_id, "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(line, ensure_ascii=False)


@dataclass(slots=True)
class _LineSubmitter:
    """Submits the lines of one job, and collects the errors of bad lines."""

    job: BatchJobRecord
    parser: RequestParser
    submitter: Submitter
    log: EventLog
    total: int = 0
    good: int = 0
    bad: list[str] = field(default_factory=list)  # lines of the error file
    errors: list[dict[str, Any]] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)  # lines by custom id
    _pending: list[tuple[BatchLine, Submission]] = field(default_factory=list)

    def add(self, line: BatchLine) -> None:
        """Parse one line. Raises ApiError where the queue is full, and LedgerError."""
        self.total += 1
        try:
            body = line.request(self._seen, ENDPOINT)
            parsed = self.parser.parse(body, f"{self.job.id}-{line.number}")
        except Exception as exc:  # foreseen or not, it is an error of this line
            if isinstance(exc, LedgerError) and not isinstance(exc, RowError):
                raise
            self._reject(line, api_error_of(exc, self.log))
            return
        submission = Submission(
            run=parsed.run,
            facts=parsed.facts,
            warnings=parsed.warnings,
            owner=self.job.owner,
            key=f"order:{self.job.id}:{line.number}",
            batch_job_id=self.job.id,
            custom_id=line.custom_id,
            line=line.number,
        )
        self._pending.append((line, submission))
        if len(self._pending) >= _GROUP_SIZE:
            self.flush()

    def flush(self) -> None:
        """Submit the parsed lines. Raises ApiError where the queue is full, and LedgerError."""
        pending, self._pending = self._pending, []
        try:
            self.submitter.submit_all([submission for _, submission in pending])
            self.good += len(pending)
        except Exception as exc:
            if _concerns_all(exc):
                raise
            for line, submission in pending:
                self._submit_one(line, submission)

    def _submit_one(self, line: BatchLine, submission: Submission) -> None:
        try:
            self.submitter.submit_all([submission])
            self.good += 1
        except Exception as exc:
            if _concerns_all(exc):
                raise
            self._reject(line, api_error_of(exc, self.log))

    def _reject(self, line: BatchLine, refused: ApiError) -> None:
        error = error_object(refused)
        response = {"status_code": refused.status, "request_id": "", "body": {"error": error}}
        brief = {"code": error["code"], "message": error["message"]}
        request_id = f"batch_req_{self.job.id}-{line.number}"
        self.bad.append(result_line(request_id, line.custom_id or None, response, brief))
        self.errors.append(brief | {"line": line.number, "param": error["param"]})


def _concerns_all(error: Exception) -> bool:
    """Tell whether an error is one of the ledger or the queue as a whole, not of one line."""
    return isinstance(error, ApiError | LedgerError) and not isinstance(error, RowError)
