"""Presentation of runs."""

from __future__ import annotations

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
    ("step", "spent", "left"),
    [
        (0, 4.0, 6.0),  # as predicted, before its first step
        (0, 10.5, None),  # the prediction has passed: not known
        (5, 20.0, 15 * 4.0),  # by its own steps
        (20, 20.0, None),  # its output is being written
    ],
)
def test_eta_of_a_running_run(
    client: TestClient, ledger: Ledger, step: int, spent: float, left: float | None
) -> None:
    for run_id in ("r", "company"):  # a batch of two, which takes 10 s
        client.post("/v1/videos", json=request(id=run_id))
    claim = ledger.queue.claim(["r", "company"], BatchFacts("replay", Shape(32, 32, 2), 10.0, 0), "w", 60)
    found = ledger.queries.get_run("r")
    assert claim is not None
    assert found is not None
    assert found.attempt is not None
    attempt: Attempt = replace(found.attempt, started=100.0, step=step, steps=20 if step else 0)
    assert client.get("/v1/videos/r").json()["predicted_seconds"] == 10
    assert eta_seconds(attempt, now=100.0 + spent) == left


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
    assert client.get("/v1/videos/r/content?variant=thumbnail").headers["content-type"] == "image/png"


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
