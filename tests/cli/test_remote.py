"""The commands that talk to a server, against a real one with the replay engine."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from tests.support.clips import clip
from tests.support.dispatch_world import make_input
from tests.support.http_server import request, server, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in a file, with the video that they need beside it."""
    folder = tmp_path_factory.mktemp("remote")
    make_input(folder / "dock.mp4")
    runs = [request(id="one"), request(id="two", prompt="night \x1b[31m"), request(id="bad")]
    (folder / "runs.jsonl").write_text("\n".join(map(json.dumps, runs)))
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    options = ("--flush-seconds", "0.1", "--max-failures", "1")
    with server(folder / "home", *options, REPLAY_STEP="0.02", REPLAY_FAULTS="bad=FAIL") as address:
        yield address


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*words: str, address: str, folder: Path) -> Ended:
    """Run cosmos-batch against the server, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    line = [word.replace("DIR", str(folder)) for word in words]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COSMOS_BATCH_SERVER", address)
        patch.setattr("sys.argv", ["cosmos-batch", *line])
        try:
            main()
        except SystemExit as exc:
            code = int(exc.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def test_runs_are_submitted_watched_listed_and_fetched(address: str, folder: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        ended = command(*words, address=address, folder=folder)
        return ended.returncode, ended.stdout + ended.stderr

    assert run("pause") == (0, "paused\n")
    assert run("submit", "DIR/runs.jsonl") == (0, "one: queued\ntwo: queued\nbad: queued\n")
    assert run("submit", "DIR/runs.jsonl") == (0, "one: queued\ntwo: queued\nbad: queued\n")  # the same runs
    assert run("submit", "DIR/home/../runs.jsonl") == (0, "one: queued\ntwo: queued\nbad: queued\n")
    waiting = re.compile(
        r"paused: 3 queued; about (.+) s for the waiting runs\nexpected: .+: .*an hour\nruns start at once where"
    )
    found = until(lambda: waiting.match(run("status")[1]), lambda found: found is not None and found[1] != "0.0")
    assert float(found[1]) > 0
    assert run("cancel", "two", "nobody") == (
        1,
        "two: cancelled\ncosmos-batch: nobody: there is no video 'nobody' here\n",
    )
    assert run("resume") == (0, "running\n")
    code, said = run("watch", "one", "bad")
    assert code == 1
    assert run("retry", "two") == (0, "two: queued\n")
    assert run("watch", "two")[0] == 0
    code, said = run("logs", "bad")
    assert code == 0
    assert "failed" in said
    assert "attempt 1 in batch" in said
    code, said = run("fetch", "one", "two", "-o", "DIR/out")
    assert (code, said) == (0, f"one: saved\ntwo: saved\n2 of 2 runs saved in {folder}/out\n")
    code, said = run("fetch", "one", "bad", "-o", "DIR/again")
    assert (code, said.splitlines()[-1]) == (1, "cosmos-batch: bad: it has no video: failed")
    assert f"1 of 2 runs saved in {folder}/again" in said
    assert json.loads((folder / "out" / "two" / "run.json").read_text())["id"] == "two"
    assert (folder / "out" / "one" / "output.mp4").stat().st_size > 0
    code, said = run("status", "bad", "--json")
    assert [video["state"] for video in json.loads(said)["videos"]] == ["failed"]


def test_warnings_of_the_server_are_printed(address: str, folder: Path) -> None:
    clip(folder / "long.mp4", frames=6, width=32, height=32)
    odd = request("long.mp4", id="odd")
    odd["inputs"]["edge"] = "dock.mp4"
    (folder / "odd.json").write_text(json.dumps(odd))
    ended = command("submit", "DIR/odd.json", address=address, folder=folder)
    assert (ended.returncode, ended.stdout) == (0, "odd: queued\n")
    assert ended.stderr.startswith("warning: run odd: inputs.edge = ")
    assert "4 of 6 frames of the input video are not used" in ended.stderr


def test_a_sweep_is_cancelled_retried_and_fetched_by_its_name_and_tags(address: str, folder: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        ended = command(*words, address=address, folder=folder)
        return ended.returncode, ended.stdout + ended.stderr

    sweep = {
        "sweep": "weather",
        "videos": "dock.mp4",
        "prompts": {"rain": "rain", "snow": "snow"},
        "id": "{prompt_name}",
    }
    sweep |= {"controls": {"edge": 1.0}, "tags": {"sky": "{prompt_name}"}, "settings": {"num_steps": 2}}
    (folder / "sweep.json").write_text(json.dumps(sweep))
    assert run("pause") == (0, "paused\n")
    assert run("submit", "DIR/sweep.json") == (0, "rain: queued\nsnow: queued\n")
    assert run("cancel", "--sweep", "weather", "--tag", "sky:snow") == (0, "snow: cancelled\n")
    assert run("cancel", "--sweep", "climate") == (0, "no run to cancel\n")
    assert run("cancel", "rain", "--sweep", "weather")[0] == 2
    assert run("retry", "--tag", "sky:snow") == (0, "snow: queued\n")
    assert run("resume") == (0, "running\n")
    assert run("watch", "rain", "snow")[0] == 0
    # one name for two runs is refused before anything is saved
    code, said = run("fetch", "--sweep", "weather", "-o", "DIR/sky/{sweep}/{seed}.mp4")
    assert code == 2
    assert "gives the runs rain and snow one name, weather/42" in said
    assert not (folder / "sky").exists()
    words = ("-o", "DIR/sky/{sweep}/{sky}.mp4", "--manifest", "DIR/sky.csv")
    code, said = run("fetch", "--sweep", "weather", *words)
    assert (code, said.splitlines()[:2]) == (0, ["rain: saved", "snow: saved"])
    assert (folder / "sky" / "weather" / "snow.mp4").samefile(folder / "sky" / "snow" / "output.mp4")
    assert json.loads((folder / "sky" / "weather" / "rain.json").read_text())["id"] == "rain"
    assert [line.split(",")[0] for line in (folder / "sky.csv").read_text().splitlines()] == ["id", "rain", "snow"]


def test_a_spec_that_runs_here_runs_on_a_server_of_the_distilled_model(tmp_path: Path) -> None:
    # given specs of NVIDIA's: one leaves out the steps, which its format fills in with 35, and one states them
    make_input(tmp_path / "dock.mp4")
    spec = {"prompt": "snow", "video_path": "dock.mp4", "edge": {"control_weight": 1.0}}
    (tmp_path / "open.json").write_text(json.dumps(spec | {"name": "open"}))
    (tmp_path / "stated.json").write_text(json.dumps(spec | {"name": "stated", "num_steps": 35, "guidance": 3}))
    launcher = "tests.support.distilled_launcher"
    words = [sys.executable, "-m", launcher, "run", "-o", str(tmp_path / "here"), str(tmp_path / "open.json")]
    here = subprocess.run(words, capture_output=True, text=True, check=False)
    assert here.returncode == 0, here.stderr

    # when they are submitted
    with server(tmp_path / "home", launcher=launcher) as address:
        refused = command("submit", "DIR/stated.json", address=address, folder=tmp_path)
        taken = command("submit", "DIR/open.json", address=address, folder=tmp_path)
        set_here = command("submit", "DIR/stated.json", "--set", "num_steps=2", address=address, folder=tmp_path)
        assert command("watch", "open", address=address, folder=tmp_path).returncode == 0
        command("fetch", "open", "-o", "DIR/there", address=address, folder=tmp_path)

    # then the open settings are the model's, the stated ones are kept, and the video is that of this machine
    assert (taken.returncode, taken.stdout) == (0, "open: queued\n"), taken.stderr
    assert refused.returncode == 1
    assert "takes 1 to 4 steps" in refused.stderr
    assert (set_here.returncode, set_here.stdout) == (0, "stated: queued\n"), set_here.stderr
    made = [json.loads((tmp_path / place / "open" / "run.json").read_text()) for place in ("here", "there")]
    assert made[0]["run"]["sampling"] == made[1]["run"]["sampling"]
    assert made[0]["run"]["sampling"]["num_steps"] == 4


def test_unreachable_server_is_an_error(folder: Path) -> None:
    ended = command("status", address="http://127.0.0.1:9", folder=folder)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("cosmos-batch: the server http://127.0.0.1:9")
    assert command("status", address="nonsense", folder=folder).returncode == 2


def test_keys_are_created_listed_and_revoked(tmp_path: Path) -> None:
    def keys(*words: str) -> Ended:
        return command("keys", words[0], "DIR/home", *words[1:], address="", folder=tmp_path)

    made = keys("add", "alice")
    assert made.stdout.startswith("cb_")
    assert "alice" in keys("list").stdout
    assert keys("revoke", "alice").returncode == 0
    assert "revoked" in keys("list").stdout
    assert keys("revoke", "alice").returncode == 2
    assert keys("add", "a b").returncode == 2


def test_submit_uploads_masks_and_the_file_of_a_span_once(address: str, folder: Path) -> None:
    clip(folder / "episodes.mp4", frames=6, width=32, height=32)
    run = request("episodes.mp4", id="span")
    run["inputs"] = {
        "video": {"path": "episodes.mp4", "start": 1, "frames": 2},
        "edge_mask": "episodes.mp4#frames=3+2",
    }
    (folder / "span.json").write_text(json.dumps(run))
    ended = command("submit", "DIR/span.json", address=address, folder=folder)
    assert (ended.returncode, ended.stdout) == (0, "span: queued\n"), ended.stderr
    assert command("watch", "span", address=address, folder=folder).returncode == 0
    assert command("fetch", "span", "-o", "DIR/spans", address=address, folder=folder).returncode == 0
    made = json.loads((folder / "spans" / "span" / "run.json").read_text())
    assert [each["span"] for each in made["inputs"]] == [{"start": 1, "frames": 2}, {"start": 3, "frames": 2}]
    assert made["inputs"][0]["sha256"] == made["inputs"][1]["sha256"]
    assert made["output"]["frames"] == 2
