"""The commands of a client: submit, status, watch, cancel, retry, pause, resume, drain, logs, fetch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from cosmos_batch.cli.render.console import console, print_error, print_problems, print_warnings
from cosmos_batch.cli.render.streams import output_is_read
from cosmos_batch.cli.render.tables import SHOWN_RUNS, RunLine, print_causes
from cosmos_batch.cli.render.text import duration, plural, safe
from cosmos_batch.client.client import Client
from cosmos_batch.client.connection import in_path
from cosmos_batch.client.events import event_streams
from cosmos_batch.client.selection import RunSelection
from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.dispatch.output.manifest_table import ManifestEntry, check_table, write_table
from cosmos_batch.dispatch.output.named_outputs import OutputPattern, place, root_of
from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.formats import read_files
from cosmos_batch.formats.acceptance import ACCEPT
from cosmos_batch.formats.sweep.overrides import parse_overrides
from cosmos_batch.run import Run

EXPECTED_KINDS = 3  # that `status` prints


def submit_command(
    client: Client, files: Sequence[Path], *, in_place: bool, skip_invalid: bool, overrides: Sequence[str] = ()
) -> int:
    """Submit the runs of the files, and upload their videos; returns the exit code.

    `in_place`: the server reads the videos at the same paths; they are not uploaded. `overrides`: settings in
    place of those of every run, each as `num_steps=4`.
    """
    named = any(text.strip().startswith(ACCEPT) for text in overrides)
    settings = parse_overrides(overrides, client.score_names() if named else None)
    reading = read_files(files)
    if any(ACCEPT in problem.field for problem in reading.problems):  # the server may have other scorers
        reading = read_files(files, score_names=client.score_names())
    reading = reading.with_rules(settings)
    print_warnings(reading.warnings)
    if print_problems(reading.problems) and not skip_invalid:
        print_error("nothing was submitted; correct the input, or submit the valid runs alone with --skip-invalid")
        return 2
    failures = 0
    for submission in client.submissions(reading, settings.sampling, in_place=in_place):
        if submission.run is not None:
            print(f"{safe(submission.run.id)}: {submission.run.state}")
            print_warnings(submission.run.warnings)
            continue
        failures += 1
        print_problems(submission.problems)
        if submission.error:
            print_error(f"{submission.id}: {submission.error}")
    return 1 if failures else 0


def status_command(client: Client, chosen: RunSelection, *, as_json: bool, all_rows: bool) -> int:
    """Print the states of runs (all that have not succeeded unless some are named); returns the exit code.

    Many are summarised by their reasons, unless they are named or `all_rows` are wanted.
    """
    connection, ids = client.connection, chosen.ids
    queue = connection.get("/v1/queue")
    if ids:
        videos = [connection.get(f"/v1/videos/{in_path(run_id)}") for run_id in ids]
    else:
        every = "queued,in_progress,failed" + (",completed" if chosen.query else "")
        videos = list(connection.videos(status=every, **chosen.query))
    if as_json:
        print(json.dumps({"queue": queue, "videos": videos}, ensure_ascii=False))
        return 0
    counts = ", ".join(f"{count:,} {state}" for state, count in queue["counts"].items()) or "no runs"
    print(f"{queue['mode']}: {counts}; about {duration(queue['seconds'])} for the waiting runs")
    if queue["trouble"]:
        print(f"trouble: {safe(queue['trouble'], 500)}")
    _print_expected(queue["expected"])
    if not ids and not all_rows and len(videos) > SHOWN_RUNS:
        print_causes(console(), (RunLine(each["id"], each["state"], each["reason"]) for each in videos))
        print("--all lists every run")
    elif videos:
        console().print(_table(videos))
    return 0


def _print_expected(expected: Mapping[str, Any]) -> None:
    """Print what is expected and what prediction does, where it has learnt something."""
    if not expected["on"]:
        print("prediction is off: the settings hold")
    if expected["at"] is None:
        return
    for kind in expected["kinds"][:EXPECTED_KINDS]:
        print(f"expected: {safe(kind['text'], 200)}")
    for text in (expected["window"]["text"], expected["saving"]["text"]):
        if text:
            print(safe(text, 500))


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


def watch_command(client: Client, ids: Sequence[str]) -> int:
    """Print the server's events; with ids until those runs have ended. Returns the exit code."""
    left, failed = set(ids), False

    def report(error: BaseException) -> None:
        print_error(f"{error}; trying again")

    def end(run_id: str, status: str) -> None:
        nonlocal failed
        left.discard(run_id)
        failed = failed or status == "failed"

    for events in event_streams(client.connection, report):
        for run in map(client.run, sorted(left)):  # runs that ended before the stream began send no event
            if run.ended:
                print(_line("video.state", run.id, {"state": run.state, "reason": run.reason}), flush=True)
                end(run.id, run.status)
        while (left or not ids) and output_is_read() and (event := next(events, None)) is not None:
            run_id = event.data.get("video", "")
            if run_id and (not ids or run_id in ids):
                print(_line(event.name, run_id, event.data), flush=True)
            if event.ended in left and (run := client.run(event.ended)).ended:  # it may wait again by now
                end(run.id, run.status)
            elif event.ended and not ids:
                end(event.ended, event.data["status"])
        if (ids and not left) or not output_is_read():
            break
    return 1 if failed else 0


def _line(name: str, run_id: str, data: Mapping[str, Any]) -> str:
    run_id = safe(run_id)
    if name == "video.progress":
        left = "" if data["eta_seconds"] is None else f", {duration(data['eta_seconds'])} left"
        return f"{run_id}: step {data['step']}/{data['steps']}{left}"
    reason = f": {safe(data['reason'], 500)}" if data["reason"] else ""
    return f"{run_id}: {data['state']}{reason}"


def each_command(client: Client, chosen: RunSelection, verb: Literal["cancel", "retry"]) -> int:
    """Cancel or retry runs; returns the exit code."""
    ids = client.ids_for(verb, chosen)
    if not ids:
        print(f"no run to {verb}")
    one = client.cancel_one if verb == "cancel" else client.retry_one

    def do(run_id: str) -> str:
        run = one(run_id)
        return "to be cancelled at its next step, or before it is published" if run.cancelling else run.state

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
    print(client.set_mode(verb))
    return 0


def logs_command(client: Client, run_id: str) -> int:
    """Print the history of a run; returns the exit code."""
    history = client.connection.get(f"/v1/videos/{in_path(run_id)}/history")
    for change in history["data"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        print(f"{at}  {change['state']:<10}{safe(change['reason'])}".rstrip())
    for attempt in history["attempts"]:
        outcome = attempt["outcome"] or "under way"
        seconds = (attempt["ended"] or time.time()) - attempt["started"]
        line = f"attempt {attempt['id']} in batch {attempt['batch']}: {outcome} after {duration(seconds)}"
        print(f"{line}, step {attempt['step']}/{attempt['steps']}")
    return 0


def fetch_command(client: Client, chosen: RunSelection, output: Path, manifest: Path | None = None) -> int:
    """Download videos (all completed ones unless some are named) with their controls; returns the exit code.

    `output`: a folder, or a pattern of the videos' names, which is checked before anything is downloaded.
    `manifest`: a table of what was saved, CSV or Parquet.
    """
    if manifest is not None:
        check_table(manifest)
    wanted = client.ids_for("fetch", chosen)
    pattern, folder, names = OutputPattern.of(str(output)), root_of(output), dict[str, Path]()
    found = wanted
    runs: list[Run] = []
    if pattern is not None or manifest is not None:
        runs = list(_described(client, wanted))
        found = [run.id for run in runs]
    if pattern is not None:
        names, problems = pattern.names(runs)
        if print_problems(problems):
            print_error("nothing was downloaded; correct the pattern")
            return 2

    def save(run_id: str) -> str:
        client.fetch_one(run_id, folder)
        if run_id in names:
            with folder_errors(folder):
                place(folder / run_id, folder / names[run_id])
        return "saved"

    saved = len(found) - _each(found, save)
    if manifest is not None:
        there = [(run, folder / run.id) for run in runs]
        write_table(
            manifest, [ManifestEntry(run, "succeeded", folder=home) for run, home in there if home.is_dir()]
        )
    print(f"{saved} of {plural(len(wanted), 'run')} saved in {safe(str(output))}")
    return 0 if saved == len(wanted) else 1


def _described(client: Client, ids: Sequence[str]) -> Iterator[Run]:
    """Yield the runs that are finished, as their run.json describes them; print why others are not."""
    for run_id in ids:
        try:
            yield client.described_run(run_id)
        except CosmosBatchError as exc:
            print_error(f"{run_id}: {exc}")
