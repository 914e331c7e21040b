"""Presentation of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import Attempt, BatchFacts, Ledger, State
from cosmos_batch.media.pictures import write_picture
from cosmos_batch.planning.traits import Shape
from cosmos_batch.service.runs.present import eta_seconds
from tests.support.clips import clip
from tests.support.http_server import request


@pytest.mark.parametrize(
    ("steps", "now", "left"),
    [
        ((), 104.0, 56.0),  # a load of 50 s and a batch of 10 s, as predicted
        ((), 160.5, None),  # the prediction has passed: not known
        (((1, 180.0),), 180.1, 19 * 0.5 - 0.1),  # the late first step tells of the load, not of the next ones
        (((1, 180.0), (4, 192.0)), 193.0, 16 * 4.0 - 1.0),  # by the time between its steps
        (((11, 180.0), (12, 181.0)), 181.0, 8 * 1.0),  # resumed at step 10: only steps of this attempt count
        (((1, 180.0), (19, 198.0)), 200.0, None),  # its last step is late: not known
        (((1, 180.0), (20, 199.0)), 199.0, None),  # its output is being written
    ],
)
def test_eta_of_a_running_run(
    client: TestClient, ledger: Ledger, steps: Sequence[tuple[int, float]], now: float, left: float | None
) -> None:
    for run_id in ("r", "company"):  # a batch of two, which takes 10 s
        client.post("/v1/videos", json=request(id=run_id))
    facts = BatchFacts("replay", Shape(32, 32, 2), 10.0, 0, load_seconds=50.0)
    claim = ledger.queue.claim(["r", "company"], facts, "w", 60)
    found = ledger.queries.get_run("r")
    assert claim is not None
    assert found is not None
    assert found.attempt is not None
    attempt: Attempt = replace(found.attempt, started=100.0)
    if steps:
        first, latest = steps[0], steps[-1]
        attempt = replace(attempt, step=latest[0], steps=20, first_step=first[0])
        attempt = replace(attempt, first_step_at=first[1], step_at=latest[1])
    assert client.get("/v1/videos/r").json()["predicted_seconds"] == 10
    assert eta_seconds(attempt, now=now) == (left if left is None else pytest.approx(left))


def finish(client: TestClient, ledger: Ledger, folder: Path, *names: str, **settings: object) -> Any:
    """End a run with these files; returns its video object."""
    body = request(id="r")
    body["execution_config"] |= settings
    assert client.post("/v1/videos", json=body).status_code == 200
    folder.mkdir(parents=True)
    write_picture(folder / "output.png", np.zeros((32, 32, 3), np.uint8))
    for name in names:
        (folder / name).write_bytes((folder / "output.png").read_bytes())
    ledger.runs.set_state(["r"], State.SUCCEEDED, "")
    return client.get("/v1/videos/r").json()


def test_finished_files_are_named_by_variant(client: TestClient, ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "videos" / "r"
    video = finish(client, ledger, folder, "control_edge.png", "run.json", num_frames=1)
    assert video["files"] == {"control_edge": "control_edge.png", "video": "output.png", "run": "run.json"}
    assert video["variants"] == ["input", "thumbnail", "control_edge", "video", "run"]
    for variant, name in (("video", "r.png"), ("control_edge", "r.control_edge.png")):
        answer = client.get(f"/v1/videos/r/content?variant={variant}&playable=true")
        assert answer.headers["content-type"] == "image/png"
        assert f'filename="{name}"' in answer.headers["content-disposition"]
        assert answer.content == (folder / "output.png").read_bytes()
    assert client.get("/v1/videos/r/content?variant=thumbnail").headers["content-type"] == "image/jpeg"


def test_waiting_run_has_no_finished_files(client: TestClient) -> None:
    assert client.post("/v1/videos", json=request(id="r")).json()["files"] == {}


@pytest.mark.parametrize(("settings", "size"), [({}, "32x32"), ({"keep_input_resolution": True}, "64x48")])
def test_size_is_that_of_the_output(client: TestClient, videos: Path, settings: Any, size: str) -> None:
    clip(videos / "wide.mp4")
    body = request("wide.mp4", id="r")
    body["execution_config"] |= settings
    assert client.post("/v1/videos", json=body).json()["size"] == size
    assert client.get("/v1/videos/r").json()["size"] == size
    (launch,) = client.post("/v1/plan", json={"runs": [body | {"id": "p"}]}).json()["launches"]
    (found,) = launch["batches"][0]["output_sizes"]
    assert f"{found['width']}x{found['height']}" == size


def test_form_takes_the_setting_of_the_size(client: TestClient, videos: Path) -> None:
    clip(videos / "wide.mp4")
    settings = {"execution_config[weights][edge]": "0.5", "execution_config[keep_input_resolution]": "true"}
    files = {"input_reference": ("a.mp4", (videos / "wide.mp4").read_bytes())}
    made = client.post("/v1/videos", data={"prompt": "p"} | settings, files=files).json()
    assert (made["size"], made["execution_config"]["keep_input_resolution"]) == ("64x48", True)
