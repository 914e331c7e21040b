"""The client of a server: submits runs, waits for them, fetches their videos, cancels and retries them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from cosmos_batch.client.connection import PATIENCE, Connection, ServerError, in_path
from cosmos_batch.client.events import ServerEvent, event_streams
from cosmos_batch.client.selection import RunSelection
from cosmos_batch.client.server_run import ServerRun
from cosmos_batch.client.uploaded_files import UploadedFiles
from cosmos_batch.dispatch.output.provenance import described_run
from cosmos_batch.errors import CosmosBatchError, InputError, Problem
from cosmos_batch.formats import LoadedRuns
from cosmos_batch.formats.acceptance import ACCEPT
from cosmos_batch.formats.native import record_of
from cosmos_batch.formats.run_like import RunSource, read_sources
from cosmos_batch.formats.sweep.overrides import overrides_of
from cosmos_batch.media.info import videos_of
from cosmos_batch.run import Run, Sampling, with_paths
from cosmos_batch.spans import split_span

LOCAL = "http://127.0.0.1:8000"
_NO_TAGS: Mapping[str, str] = {}
_NO_SETTINGS: Mapping[str, object] = {}
_STATUSES = {"cancel": "queued,in_progress", "retry": "failed", "fetch": "completed"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """What a server made of a run that was submitted."""

    id: str
    run: ServerRun | None  # None: the server did not take it
    problems: tuple[Problem, ...] = ()  # why
    error: str = ""  # why, where it is no problem of the run


class Client:
    """Client of one server.

    Every method raises ServerError where the server does not answer or refuses, and InputError for bad input.
    Safe to use from one thread at a time; used as a context manager, or closed by `close`.
    """

    def __init__(self, url: str = LOCAL, key: str | None = None) -> None:
        """`key`: an API key, if the server requires one; None: that of COSMOS_BATCH_KEY in the environment."""
        self.connection = Connection(url, key or os.environ.get("COSMOS_BATCH_KEY"))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self.connection.close()

    def submit(
        self,
        runs: RunSource | Iterable[RunSource],
        *,
        settings: Mapping[str, object] = _NO_SETTINGS,
        in_place: bool | None = None,
        skip_invalid: bool = False,
    ) -> list[ServerRun]:
        """Submit runs, dicts, sweeps or files of them, and return what the server has made of each.

        `settings`: sampling settings in place of those of every run, such as `{"num_steps": 4}`. `in_place`:
        whether the server reads the videos at the same paths; None: those that it has there are not uploaded.
        `skip_invalid`: leave out what is invalid; else it raises InputError with all problems. Where they are in
        the input, nothing is submitted; where the server alone finds them, the other runs are. The same run
        submitted again is not made again.
        """
        overrides = overrides_of(settings, self.score_names() if ACCEPT in settings else None)
        reading = self._read(runs).with_rules(overrides)
        if reading.problems and not skip_invalid:
            raise InputError(reading.problems)
        submissions = list(self.submissions(reading, overrides.sampling, in_place=in_place))
        refused = [submission for submission in submissions if submission.run is None]
        problems = [problem for submission in refused for problem in submission.problems]
        errors = [f"{submission.id}: {submission.error}" for submission in refused if submission.error]
        if errors:
            raise ServerError("\n".join([*errors, *map(str, problems)]))
        if problems and not skip_invalid:
            raise InputError(problems)
        return [submission.run for submission in submissions if submission.run is not None]

    def _read(self, runs: RunSource | Iterable[RunSource]) -> LoadedRuns:
        """Read runs, which may name scores that only the server has."""
        sources = runs if isinstance(runs, (str, Path, Mapping, Run)) else list(runs)
        reading = read_sources(sources)
        if any(ACCEPT in problem.field for problem in reading.problems):
            return read_sources(sources, score_names=self.score_names())
        return reading

    def submissions(
        self, reading: LoadedRuns, settings: Sampling, *, in_place: bool | None = None
    ) -> Iterator[SubmitAnswer]:
        """Submit runs one after the other, and yield what became of each; a refused run stops no other one."""
        files = UploadedFiles(self.connection, in_place)
        for run in reading.giving_way(self._own_settings()).with_settings(settings).runs:
            try:
                yield SubmitAnswer(run.id, self._submit(run, files))
            except InputError as exc:
                found = ((p.field, p.found, p.message, p.remedy) for p in exc.problems)
                problems = (Problem(f"run {run.id}", None, *parts) for parts in found)
                yield SubmitAnswer(run.id, None, tuple(problems))
            except ServerError as exc:
                yield SubmitAnswer(run.id, None, error=str(exc))

    def _own_settings(self) -> frozenset[str]:
        """Settings that a format of NVIDIA's fills in, and that the server's model has values of its own for.

        They are left to the server, as a run on this machine leaves them to its model. Earlier servers name none.
        """
        return frozenset(self.connection.get("/v1/server").get("own_settings", ()))

    def score_names(self) -> tuple[str, ...]:
        """The scores that a rule may name on the server, its own scorers among them. Raises ServerError."""
        return tuple(score["name"] for score in self.connection.get("/v1/server").get("scores", ()))

    def _submit(self, run: Run, files: UploadedFiles) -> ServerRun:
        """Submit a run, which gives the run that there is where it was submitted before. Raises ServerError.

        The key of the request comes from the names of the videos on the server, and so from their contents;
        earlier versions took it from the paths here.
        """
        paths = {split_span(video)[0] for video in videos_of(run)}
        names = {path: files.name(path) for path in sorted(paths)}
        request = record_of(run, names)
        key, earlier = (f"cli-{run.id}-{each.fingerprint}" for each in (with_paths(run, names.__getitem__), run))
        try:
            made = self.connection.post("/v1/videos", request, key=key)
        except ServerError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            try:
                made = self.connection.post("/v1/videos", request, key=earlier)
            except ServerError:
                raise exc from None
        return ServerRun.from_json(made)

    def run(self, run_id: str) -> ServerRun:
        """Get one run."""
        return ServerRun.from_json(self.connection.get(f"/v1/videos/{in_path(run_id)}"))

    def runs(
        self, *ids: str, sweep: str = "", tags: Mapping[str, str] = _NO_TAGS, status: str = ""
    ) -> Iterator[ServerRun]:
        """Yield the runs of these ids, or those of a sweep with all the tags, oldest first; else all.

        `status`: only of these, with commas: queued, in_progress, completed, failed.
        """
        return self.selected(RunSelection.of(ids, sweep, tags), status)

    def selected(self, chosen: RunSelection, status: str = "") -> Iterator[ServerRun]:
        """Yield the runs of a selection, oldest first; `status` is for those without ids."""
        if chosen.ids:
            yield from map(self.run, chosen.ids)
        else:
            only: dict[str, str | Sequence[str]] = {"status": status} if status else {}
            yield from map(ServerRun.from_json, self.connection.videos(**only, **chosen.query))

    def wait(
        self, *ids: str, sweep: str = "", tags: Mapping[str, str] = _NO_TAGS, timeout: float | None = None
    ) -> Iterator[ServerRun]:
        """Yield each of these runs when it has ended; of a sweep, those that it has now.

        Reconnects where the connection breaks. Raises ServerError after 6 failures in a row, and where runs have
        not ended after `timeout` seconds, which is noticed within 15 s.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        left = {run.id for run in self.runs(*ids, sweep=sweep, tags=tags)}
        patience = PATIENCE if timeout is None else max(0.1, min(PATIENCE, timeout))
        for events in event_streams(self.connection, patience=patience) if left else ():
            ended = [run for run in map(self.run, sorted(left)) if run.ended]  # these send no event any more
            left.difference_update(run.id for run in ended)
            yield from ended
            event: ServerEvent | None = ServerEvent("", {})
            while left and event is not None:
                if event.ended in left and (run := self.run(event.ended)).ended:  # it may wait again by now
                    left.remove(run.id)
                    yield run
                event = next(events, None) if left else None
                if left and deadline is not None and time.monotonic() > deadline:
                    raise ServerError(f"{len(left)} runs have not ended after {timeout:g} s")
            if not left:
                return

    def cancel(self, *ids: str, sweep: str = "", tags: Mapping[str, str] = _NO_TAGS) -> list[ServerRun]:
        """Cancel runs; a running one ends at its next step. Runs that cannot be cancelled raise at the end."""
        return self._each("cancel", RunSelection.of(ids, sweep, tags), self.cancel_one)

    def retry(self, *ids: str, sweep: str = "", tags: Mapping[str, str] = _NO_TAGS) -> list[ServerRun]:
        """Queue runs again that failed, were blocked or were cancelled. Other runs raise at the end."""
        return self._each("retry", RunSelection.of(ids, sweep, tags), self.retry_one)

    def fetch(self, *ids: str, out: str | Path, sweep: str = "", tags: Mapping[str, str] = _NO_TAGS) -> list[Path]:
        """Save the finished files of runs in `out/ID/`, and return the paths of the videos.

        Without ids, of all finished runs. Runs without a video raise at the end, once the others are saved.
        """
        return self._each("fetch", RunSelection.of(ids, sweep, tags), lambda run_id: self.fetch_one(run_id, out))

    def cancel_one(self, run_id: str) -> ServerRun:
        """Cancel a run."""
        return ServerRun.from_json(self.connection.post(f"/v1/videos/{in_path(run_id)}/cancel"))

    def retry_one(self, run_id: str) -> ServerRun:
        """Queue a run again."""
        return ServerRun.from_json(self.connection.post(f"/v1/videos/{in_path(run_id)}/retry"))

    def fetch_one(self, run_id: str, out: str | Path) -> Path:
        """Save the finished files of a run, and return the path of its video. Raises StorageError, too."""
        run = self.run(run_id)
        if "video" not in run.files:
            raise ServerError(f"it has no video: {run.state}")
        home = Path(out) / run.id
        for variant, name in run.files.items():
            target = home / Path(name).name
            self.connection.download(f"/v1/videos/{in_path(run_id)}/content", target, variant=variant)
        return home / Path(run.files["video"]).name

    def described_run(self, run_id: str) -> Run:
        """The run that the run.json of a finished run is about, with every setting filled in."""
        path = f"/v1/videos/{in_path(run_id)}/content"
        return described_run(self.connection.get(path, variant="run"))

    def ids_for(self, verb: str, chosen: RunSelection) -> list[str]:
        """The ids of a selection; without any, those of its runs that can be cancelled, retried or fetched."""
        return list(chosen.ids) or [run.id for run in self.selected(chosen, _STATUSES[verb])]

    def _each(self, verb: str, chosen: RunSelection, do: Callable[[str], _T]) -> list[_T]:
        """Call `do` for each run, also after failures; raises ServerError with all of them."""
        done, errors = [], []
        for run_id in self.ids_for(verb, chosen):
            try:
                done.append(do(run_id))
            except CosmosBatchError as exc:
                errors.append(f"{run_id}: {exc}")
        if errors:
            raise ServerError("\n".join(errors))
        return done

    def pause(self) -> None:
        """Checkpoint the running runs at their next step, and free the GPU."""
        self.set_mode("pause")

    def resume(self) -> None:
        """Resume the queue after `pause` or `drain`."""
        self.set_mode("resume")

    def drain(self) -> None:
        """Finish the running runs, start no others, then free the GPU."""
        self.set_mode("drain")

    def set_mode(self, verb: str) -> str:
        """Pause, resume or drain the queue; returns the mode that it has then."""
        return str(self.connection.post(f"/v1/queue/{verb}")["mode"])
