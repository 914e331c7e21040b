"""The commands of a client: submit, status, watch, cancel, retry, pause, resume, drain, logs, fetch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.console import console, print_error, print_problems, print_warnings
from cosmos_batch.cli.render.streams import output_is_read
from cosmos_batch.cli.render.tables import SHOWN_RUNS, RunLine, print_causes
from cosmos_batch.cli.render.text import duration, plural, safe
from cosmos_batch.client.connection import Client, ServerError, in_path
from cosmos_batch.dispatch.worker.retry import FIRST_WAIT, retry_policy
from cosmos_batch.errors import CosmosBatchError, InputError, Problem
from cosmos_batch.formats import read_files
from cosmos_batch.formats.guided import MASK, guided_settings
from cosmos_batch.formats.native import control_prompts, mask_name
from cosmos_batch.formats.sweep.overrides import parse_overrides
from cosmos_batch.media.info import videos_of
from cosmos_batch.run import Run, with_paths
from cosmos_batch.spans import split_span, with_file


def submit_command(
    client: Client, files: Sequence[Path], *, in_place: bool, skip_invalid: bool, overrides: Sequence[str] = ()
) -> int:
    """Submit the runs of the files, and upload their videos; returns the exit code.

    `in_place`: the server reads the videos at the same paths; they are not uploaded. `overrides`: settings in
    place of those of every run, each as `num_steps=4`.
    """
    settings = parse_overrides(overrides)
    reading = read_files(files)
    print_warnings(reading.warnings)
    if print_problems(reading.problems) and not skip_invalid:
        print_error("nothing was submitted; correct the input, or submit the valid runs alone with --skip-invalid")
        return 2
    reading = reading.giving_way(_own_settings(client)).with_settings(settings)
    uploaded: dict[str, str] = {}
    failures = 0
    for run in reading.runs:
        try:
            paths = {split_span(video)[0] for video in videos_of(run)}
            names = {
                path: os.path.realpath(path) if in_place else _uploaded(client, path, uploaded)
                for path in sorted(paths)
            }
            video = _submitted(client, run, names)
            print(f"{safe(video['id'])}: {video['state']}")
            print_warnings([_warning(run, **warning) for warning in video.get("warnings", ())])
        except InputError as exc:
            failures += bool(print_problems(_of_run(run, problem) for problem in exc.problems))
        except ServerError as exc:
            print_error(f"{run.id}: {exc}")
            failures += 1
    return 1 if failures else 0


def _own_settings(client: Client) -> frozenset[str]:
    """Settings that a format of NVIDIA's fills in, and that the server's model has values of its own for.

    They are left to the server, as `cosmos-batch run` leaves them to its model. Earlier servers name none.
    """
    return frozenset(client.get("/v1/server").get("own_settings", ()))


def _submitted(client: Client, run: Run, names: dict[str, str]) -> dict[str, Any]:
    """Submit a run, which gives the run that there is where it was submitted before. Raises ServerError.

    The key of the request comes from the names of the videos on the server, and so from their contents; earlier
    versions took it from the paths here.
    """
    request = request_of(run, names)
    key, earlier = (f"cli-{run.id}-{each.fingerprint}" for each in (with_paths(run, names.__getitem__), run))
    try:
        made: dict[str, Any] = client.post("/v1/videos", request, key=key)
    except ServerError as exc:
        if exc.status != HTTPStatus.CONFLICT:
            raise
        try:
            made = client.post("/v1/videos", request, key=earlier)
        except ServerError:
            raise exc from None
    return made


def _uploaded(client: Client, path: str, uploaded: dict[str, str]) -> str:
    """The id of a video on the server; each video is uploaded once."""
    if path not in uploaded:
        uploaded[path] = client.upload(Path(path))
    return uploaded[path]


def _of_run(run: Run, problem: Problem) -> Problem:
    return Problem(f"run {run.id}", None, problem.field, problem.found, problem.message, problem.remedy)


def _warning(run: Run, *, field: str, found: str, message: str, remedy: str, **_others: object) -> Problem:
    """A warning of the server about a run."""
    return _of_run(run, Problem("", None, field, found, message, remedy))


def request_of(run: Run, names: dict[str, str]) -> dict[str, Any]:
    """The body of POST /v1/videos for a run. `names`: the server's names of its files, by path."""
    settings = {name: value for name, value in asdict(run.sampling).items() if value is not None}
    if settings.get("fps") == "input":
        del settings["fps"]
    given = {"video": run.video, MASK: run.guided_mask}
    for control in run.active:
        given |= {control.name: control.video, mask_name(control.name): control.mask}
    settings |= guided_settings(run) | control_prompts(run)
    return {
        "id": run.id,
        "prompt": run.prompt,
        "inputs": {name: with_file(video, names.__getitem__) for name, video in given.items() if video},
        "execution_config": {"weights": {c.name: c.weight for c in run.controls}, **settings, **run.presets},
        "priority": run.priority,
        "job_type": run.job_type,
        **_annotations(run),
    }


def _annotations(run: Run) -> dict[str, Any]:
    """The sweep, tags and metadata of a run, without those that it does not have."""
    return {name: value for name, value in asdict(run.annotations).items() if value} if run.annotations else {}


@dataclass(frozen=True, slots=True)
class RunSelection:
    """The runs that a command is about: by id, or by sweep and tags."""

    ids: Sequence[str] = ()
    sweep: str = ""
    tags: Sequence[str] = ()  # NAME:VALUE

    @property
    def query(self) -> dict[str, str | Sequence[str]]:
        """The query of the API that gives the runs of the sweep with the tags."""
        sweep: dict[str, str | Sequence[str]] = {"sweep": self.sweep} if self.sweep else {}
        return sweep | ({"tag": self.tags} if self.tags else {})

    def found(self, client: Client, status: str) -> list[str]:
        """The ids, else those of the runs of these statuses that the query gives."""
        return list(self.ids) or [str(video["id"]) for video in client.videos(status=status, **self.query)]


def status_command(client: Client, chosen: RunSelection, *, as_json: bool, all_rows: bool) -> int:
    """Print the states of runs (all that have not succeeded unless some are named); returns the exit code.

    Many are summarised by their reasons, unless they are named or `all_rows` are wanted.
    """
    queue = client.get("/v1/queue")
    ids = chosen.ids
    if ids:
        videos = [_video(client, run_id) for run_id in ids]
    else:
        every = "queued,in_progress,failed" + (",completed" if chosen.query else "")
        videos = list(client.videos(status=every, **chosen.query))
    if as_json:
        print(json.dumps({"queue": queue, "videos": videos}, ensure_ascii=False))
        return 0
    counts = ", ".join(f"{count:,} {state}" for state, count in queue["counts"].items()) or "no runs"
    print(f"{queue['mode']}: {counts}; about {duration(queue['seconds'])} for the waiting runs")
    if queue["trouble"]:
        print(f"trouble: {safe(queue['trouble'], 500)}")
    if not ids and not all_rows and len(videos) > SHOWN_RUNS:
        print_causes(console(), (RunLine(each["id"], each["state"], each["reason"]) for each in videos))
        print("--all lists every run")
    elif videos:
        console().print(_table(videos))
    return 0


def _table(videos: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "state", "step", "left", "reason"):
        table.add_column(name)
    for video in videos:
        step = f"{video['step']}/{video['steps']}" if video["steps"] else ""
        left = "" if video["eta_seconds"] is None else duration(video["eta_seconds"])
        cells = (video["id"], video["state"], step, left, video["reason"])
        table.add_row(*(Text(safe(str(cell), 200)) for cell in cells))
    return table


def _video(client: Client, run_id: str) -> dict[str, Any]:
    video: dict[str, Any] = client.get(f"/v1/videos/{in_path(run_id)}")
    return video


def watch_command(client: Client, ids: Sequence[str]) -> int:
    """Print the server's events; with ids until those runs have ended. Returns the exit code."""
    from cosmos_batch.ledger import ENDED  # imported here: it takes long, and the other commands need no ledger

    left = set(ids)
    failed = False
    for name, data in _events(client):
        if name == "queue" and ids:  # runs that ended before the stream began send no event
            ended = [
                video for video in (_video(client, run_id) for run_id in sorted(left)) if video["state"] in ENDED
            ]
            failed = failed or any(video["status"] == "failed" for video in ended)
            left -= {video["id"] for video in ended}
        elif name != "queue" and (not ids or data["video"] in ids):
            print(_line(name, data), flush=True)
            if name == "video.state" and data["state"] in ENDED:
                left.discard(data["video"])
                failed = failed or data["status"] == "failed"
        if (ids and not left) or not output_is_read():
            break
    return 1 if failed else 0


def _events(client: Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the server's events; reconnect when the stream ends. Raises ServerError after 6 failures in a row."""

    def report(error: BaseException, _tries: int = 1) -> None:
        print_error(f"{error}; trying again")

    reconnecting = retry_policy((ServerError,), report, attempts=6)
    while True:
        events = reconnecting(_open_events, client)
        try:
            yield from events
        except ServerError as exc:
            report(exc)
        time.sleep(FIRST_WAIT)


def _open_events(client: Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """Open the stream and wait for its first event. Raises ServerError."""
    events = client.events()
    first = next(events, None)
    return events if first is None else chain([first], events)


def _line(name: str, data: dict[str, Any]) -> str:
    run_id = safe(data["video"])
    if name == "video.progress":
        left = "" if data["eta_seconds"] is None else f", {duration(data['eta_seconds'])} left"
        return f"{run_id}: step {data['step']}/{data['steps']}{left}"
    reason = f": {safe(data['reason'], 500)}" if data["reason"] else ""
    return f"{run_id}: {data['state']}{reason}"


_STATUSES = {"cancel": "queued,in_progress", "retry": "failed"}


def each_command(client: Client, chosen: RunSelection, verb: str) -> int:
    """Cancel or retry runs; returns the exit code."""
    ids = chosen.found(client, _STATUSES[verb])
    if not ids:
        print(f"no run to {verb}")

    def do(run_id: str) -> str:
        video = client.post(f"/v1/videos/{in_path(run_id)}/{verb}")
        return (
            "to be cancelled at its next step, or before it is published"
            if video["cancelling"]
            else str(video["state"])
        )

    return 1 if _each(ids, do) else 0


def _each(ids: Sequence[str], do: Callable[[str], str]) -> int:
    """Call `do` for each run, also after failures; returns the number of failures."""
    failures = 0
    for run_id in ids:
        try:
            print(f"{safe(run_id)}: {do(run_id)}")
        except CosmosBatchError as exc:
            print_error(f"{run_id}: {exc}")
            failures += 1
    return failures


def mode_command(client: Client, verb: str) -> int:
    """Pause, resume or drain the queue; returns the exit code."""
    print(client.post(f"/v1/queue/{verb}")["mode"])
    return 0


def logs_command(client: Client, run_id: str) -> int:
    """Print the history of a run; returns the exit code."""
    history = client.get(f"/v1/videos/{in_path(run_id)}/history")
    for change in history["data"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        print(f"{at}  {change['state']:<10}{safe(change['reason'])}".rstrip())
    for attempt in history["attempts"]:
        outcome = attempt["outcome"] or "under way"
        seconds = (attempt["ended"] or time.time()) - attempt["started"]
        line = f"attempt {attempt['id']} in batch {attempt['batch']}: {outcome} after {duration(seconds)}"
        print(f"{line}, step {attempt['step']}/{attempt['steps']}")
    return 0


def fetch_command(client: Client, chosen: RunSelection, folder: Path) -> int:
    """Download videos (all completed ones unless some are named) with their controls; returns the exit code."""
    wanted = chosen.found(client, "completed")
    failures = _each(wanted, lambda run_id: _download(client, run_id, folder))
    print(f"{len(wanted) - failures} of {plural(len(wanted), 'run')} saved in {safe(str(folder))}")
    return 1 if failures else 0


def _download(client: Client, run_id: str, folder: Path) -> str:
    video = _video(client, run_id)
    if "video" not in video["variants"]:
        raise ServerError(f"it has no video: {video['state']}")
    home = folder / str(video["id"])
    home.mkdir(parents=True, exist_ok=True)
    for variant, name in video["files"].items():
        client.download(f"/v1/videos/{in_path(run_id)}/content", home / Path(name).name, variant=variant)
    return "saved"
