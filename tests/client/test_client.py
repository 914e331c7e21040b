"""The client for Python programs, against a real server with the simulated engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_batch import Client, InputError, ServerError
from cosmos_batch.client.server_run import ServerRun
from tests.support.clips import clip
from tests.support.dispatch_world import make_input
from tests.support.http_server import request, server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that the server may read in place, and one that it may not."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "root").mkdir()
    make_input(folder / "root" / "dock.mp4")
    clip(folder / "own.mp4", frames=4, width=32, height=32)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    options = ("--flush-seconds", "0.1", "--max-failures", "1", "--root", str(folder / "root"))
    with server(folder / "home", *options, REPLAY_FAULTS="bad=FAIL") as address, Client(address) as client:
        yield client


def test_runs_are_submitted_waited_for_and_fetched(client: Client, folder: Path) -> None:
    runs = [request(str(folder / name), id=id_) for id_, name in (("one", "root/dock.mp4"), ("two", "own.mp4"))]
    sweep = {
        "sweep": "seeds",
        "videos": str(folder / "own.mp4"),
        "prompts": ["snow"],
        "seeds": [1, 2],
        "controls": {"edge": 1.0},
    }

    submitted = client.submit([*runs, sweep], settings={"num_steps": 2})
    again = client.submit(runs, settings={"num_steps": 2})

    assert [run.id for run in submitted[:2]] == [run.id for run in again] == ["one", "two"]
    ended = {run.id: run for run in client.wait("one", "two", timeout=60)}
    assert {id_: run.succeeded for id_, run in ended.items()} == {"one": True, "two": True}
    seeds = sorted(run.id for run in client.wait(sweep="seeds", timeout=60))
    assert seeds == sorted(run.id for run in submitted[2:])
    paths = client.fetch("one", "two", out=folder / "out")
    assert paths == [folder / "out" / id_ / "output.mp4" for id_ in ("one", "two")]
    made = [json.loads((path.parent / "run.json").read_text()) for path in paths]
    assert [each["run"]["sampling"]["num_steps"] for each in made] == [2, 2]
    # what the server has in place is not uploaded
    names = [each["run"]["video"] for each in made]
    assert names[0] == str(folder / "root" / "dock.mp4")
    assert names[1].startswith(str(folder / "home"))


def test_runs_are_cancelled_retried_and_filtered(client: Client, folder: Path) -> None:
    client.pause()
    video = str(folder / "root" / "dock.mp4")
    client.submit([request(video, id=id_, tags={"day": "monday"}) for id_ in ("first", "second")])

    assert [run.state for run in client.cancel(tags={"day": "monday"})] == ["cancelled", "cancelled"]
    assert [run.state for run in client.retry("first")] == ["queued"]
    states = {run.id: run.state for run in client.runs(tags={"day": "monday"})}
    assert states == {"first": "queued", "second": "cancelled"}
    with pytest.raises(ServerError, match="1 runs have not ended"):
        list(client.wait("first", timeout=0.1))
    client.resume()
    assert [run.succeeded for run in client.wait("first", timeout=60)] == [True]


def test_one_bad_run_holds_up_no_other(client: Client, folder: Path) -> None:
    video = str(folder / "root" / "dock.mp4")
    # the input is wrong: nothing is submitted, and every problem is named
    with pytest.raises(InputError) as wrong:
        client.submit([request(video, id="good"), request("missing.mp4", id="b"), {"prompt": 7}])
    assert {problem.file for problem in wrong.value.problems} == {"runs[1]", "runs[2]"}
    with pytest.raises(ServerError, match="no video 'good'"):
        client.run("good")
    # the server refuses one: the others are submitted
    with pytest.raises(InputError, match=r"run long: inputs.video = .*: the run asks for 4000 frames"):
        client.submit(
            [
                request(video, id="long", execution_config={"num_frames": 4000, "weights": {"edge": 1}}),
                request(video, id="good"),
            ]
        )
    # one fails, another has no video yet: what is there is saved
    client.submit(request(video, id="bad"))
    assert {run.id: run.state for run in client.wait("good", "bad", timeout=60)} == {
        "good": "succeeded",
        "bad": "failed",
    }
    with pytest.raises(ServerError, match="bad: it has no video: failed"):
        client.fetch("bad", "good", out=folder / "some")
    assert (folder / "some" / "good" / "output.mp4").exists()
    with pytest.raises(InputError, match="beside a sweep"):
        client.cancel("good", sweep="seeds")


def test_a_run_is_shown_as_escaped_html() -> None:
    video = {"id": "a", "state": "failed", "status": "failed", "reason": "<b>", "prompt": "", "step": 1}
    video |= {"steps": 2, "eta_seconds": None, "cancelling": False, "files": {}}
    shown = ServerRun.from_json(video)._repr_html_()
    assert "<td>&lt;b&gt;</td><td>1 of 2</td>" in shown


@pytest.mark.parametrize("url", ["nonsense", "ftp://host"])
def test_an_address_that_is_none_is_a_problem(url: str) -> None:
    with pytest.raises(InputError, match="is no address of a server"):
        Client(url)
