"""/v1/videos: submit, list, change and delete; refused requests have every problem."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cosmos_batch.ledger import BatchFacts, Ledger, State
from cosmos_batch.media.video import read_frames
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Acceptance
from cosmos_batch.scoring.acceptance import Tries, Try
from tests.support.clips import clip
from tests.support.http_server import request


def problems_of(answer: Any) -> list[tuple[str, str]]:
    """Field and message of every problem of an error answer."""
    return [(each["field"], each["message"]) for each in answer.json()["error"]["problems"]]


def test_submitted_video_is_shown_with_every_setting(client: TestClient, videos: Path) -> None:
    made = client.post("/v1/videos", json=request(priority="high", id="dock_1", size="32x32")).json()
    assert made == client.get("/v1/videos/dock_1").json() | {"updated_at": made["updated_at"]}
    assert (made["object"], made["status"], made["state"], made["progress"]) == ("video", "queued", "queued", 0)
    assert (made["size"], made["seconds"], made["priority"]) == ("32x32", "0.25", 10)
    assert made["inputs"] == {"video": str(videos / "dock.mp4")}
    assert made["execution_config"]["num_steps"] == 4
    assert made["reason"] == "no worker is alive"


def test_every_answer_about_a_run_has_its_warnings(client: TestClient, videos: Path, ledger: Ledger) -> None:
    clip(videos / "long.mp4", frames=6, width=32, height=32)
    asked = request("long.mp4", id="r")
    asked["inputs"]["edge"] = "dock.mp4"
    answers = [
        client.post("/v1/videos", json=asked, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    ]  # the second finds the run of the first
    for made in answers:
        (warning,) = made["warnings"]
        assert (warning["line"], warning["field"]) == (None, "inputs.edge")
        assert "4 of 6 frames of the input video are not used" in warning["message"]
        assert str(videos) not in json.dumps(warning)  # no path of the server
    assert ledger.queries.states() == {State.QUEUED: 1}
    assert client.get("/v1/videos/r").json()["warnings"] == made["warnings"]
    assert client.get("/v1/videos").json()["data"][0]["warnings"] == made["warnings"]
    assert client.post("/v1/videos/r/cancel").json()["warnings"] == made["warnings"]
    assert client.post("/v1/videos/r/retry").json()["warnings"] == made["warnings"]
    asked["execution_config"]["num_frames"] = 2
    assert client.post("/v1/videos", json=asked | {"id": "s"}).json()["warnings"] == []


def test_form_carries_videos_and_nested_fields(client: TestClient, videos: Path) -> None:
    clip = (videos / "dock.mp4").read_bytes()
    made = client.post(
        "/v1/videos",
        data={"prompt": "7", "execution_config[weights][edge]": "0.5", "execution_config[num_steps]": "3"},
        files={"input_reference": ("../../etc/passwd", clip), "inputs[edge]": ("edge.mp4", clip)},
    ).json()
    assert made["prompt"] == "7"
    assert made["execution_config"]["weights"] == {"edge": 0.5}
    assert made["execution_config"]["num_steps"] == 3
    assert made["inputs"]["video"].startswith("file-")
    assert made["inputs"]["edge"] == made["inputs"]["video"]  # equal content is stored once


def test_span_of_a_video_is_sent_in_a_form_or_named_and_shown_alone(client: TestClient, tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", frames=6, width=48, height=32)
    content = Path(whole).read_bytes()
    fields = {"prompt": "a dock", "execution_config[weights][edge]": "1", "id": "form"}
    fields |= {"inputs[video][start]": "1", "inputs[video][frames]": "3"}
    sent = client.post("/v1/videos", data=fields, files={"inputs[video]": ("whole.mp4", content)})
    assert sent.status_code == 200, sent.json()
    file_id, _, span = sent.json()["inputs"]["video"].partition("#")
    assert (file_id[:5], span) == ("file-", "frames=1+3")
    # the fields that the page sends: a file that is on the server, and seconds
    named = request(id="named", inputs={"video": {"path": file_id, "start_seconds": 0.25, "seconds": 0.25}})
    assert client.post("/v1/videos", json=named).json()["inputs"]["video"] == f"{file_id}#t=0.25,0.5"

    shown = client.get("/v1/videos/form/content?variant=input")
    assert shown.status_code == 200
    (tmp_path / "shown.mp4").write_bytes(shown.content)
    got, frames = read_frames(tmp_path / "shown.mp4"), read_frames(whole)
    assert got.shape[0] == 3
    assert np.abs(got.astype(int) - frames[1:4]).mean() < 6
    fields["inputs[video][start]"] = "5"
    bad = client.post("/v1/videos", data=fields, files={"inputs[video]": ("w.mp4", content)})
    assert (bad.status_code, [field for field, _ in problems_of(bad)]) == (400, ["inputs.video"])


def test_form_carries_masks_as_files(client: TestClient, videos: Path) -> None:
    clip(videos / "mask.mp4", frames=2, width=48, height=32)
    dock, mask = ((videos / name).read_bytes() for name in ("dock.mp4", "mask.mp4"))
    fields = {"prompt": "a dock", "execution_config[weights][edge]": "1", "execution_config[weights][depth]": "1"}
    files = {
        "inputs[video]": ("dock.mp4", dock),
        "inputs[edge_mask]": ("mask.mp4", mask),
        "inputs[depth]": ("depth.mp4", dock),
        "inputs[guided_generation_mask]": ("where.mp4", mask),
    }
    answer = client.post("/v1/videos", data=fields, files=files)
    made = answer.json()
    assert answer.status_code == 200, made
    assert set(made["inputs"]) == {"video", "edge_mask", "depth", "guided_generation_mask"}
    assert made["inputs"]["edge_mask"] != made["inputs"]["video"]
    sent = client.get(f"/v1/files/{made['inputs']['edge_mask']}/content")
    assert sent.content == mask
    assert client.get(f"/v1/videos/{made['id']}").json()["inputs"] == made["inputs"]
    refused = client.post("/v1/videos", data=fields, files=files | {"inputs[lava_mask]": ("m.mp4", mask)})
    assert refused.status_code == 400
    assert [field for field, _ in problems_of(refused)] == ["inputs.lava_mask"]


def test_every_problem_of_a_request_is_reported_at_once(client: TestClient) -> None:
    asked = request(inputs={"video": "nowhere.mp4"}, model="sora-2", seconds="soon", colour="red")
    asked["execution_config"]["weights"] = {"edge": 2, "lava": 1}
    answer = client.post("/v1/videos", json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert {field for field, _ in problems_of(answer)} == {
        "model",
        "seconds",
        "inputs.video",
        "colour",
        "execution_config.weights.edge",
        "execution_config.weights.lava",
    }


@pytest.mark.parametrize(
    ("asked", "field", "message"),
    [
        (
            {"seconds": "1", "execution_config": {"weights": {"edge": 1}, "num_frames": 3}},
            "seconds",
            "contradicts",
        ),
        ({"seconds": 1e9}, "seconds", "too long"),
        ({"seconds": "1e308"}, "seconds", "too long"),
        ({"seconds": 10**400}, "seconds", "not a length"),
        ({"prompt": "a\0b"}, "prompt", "holds the character NUL"),
        ({"inputs": {"video": "file-\ud800"}}, "inputs.video", "lone surrogate"),
        ({"inputs": {"video": "a.mp4", "\udc00": "b"}}, "inputs.\\udc00", "lone surrogate"),
        ({"size": "99x99", "execution_config": {"weights": {"edge": 1}, "resolution": "32"}}, "size", "twice"),
        ({"input_reference": {"image_url": "http://10.0.0.1/"}}, "input_reference", "names no file"),
        ({"input_reference": "file-ff"}, "input_reference", "twice"),
        ({"id": "../x"}, "id", "not of the expected form"),
        ({"prompt": "a\ud800b"}, "prompt", "lone surrogate"),
        ({"execution_config": {"weights": {}}}, "execution_config.weights", "no active control"),
        ({"inputs": {"video": "file-ff"}}, "inputs.video", "not an uploaded video"),
        (
            {"execution_config": {"weights": {"edge": 1}, "num_frames": 50}},
            "inputs.video",
            "the run asks for 50 frames and this video has 2",
        ),
        (
            {"seconds": 2},
            "seconds",
            "is longer than the video: 16 frames at 8 frames per second; it has 2",
        ),
    ],
)
def test_invalid_request_is_refused(client: TestClient, asked: dict[str, Any], field: str, message: str) -> None:
    answer = client.post("/v1/videos", content=json.dumps(request(**asked)))
    assert answer.status_code == 400
    assert [(f, message in m) for f, m in problems_of(answer)] == [(field, True)]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"--x--", "multipart/form-data", 400),
        (b"--x\r\nno form", "multipart/form-data; boundary=x", 400),
    ],
)
def test_malformed_body_is_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/v1/videos", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"prompt": "a", "prompt": "b"}', 'gives the key "prompt" more than once'),
        (b'{"prompt": "a", "inputs": {"video": "a", "video": "b"}}', 'gives the key "video" more than once'),
        (b'{"prompt": "\xe9"}', "is not UTF-8 (byte 13 is 0xe9)"),
        (b'{"prompt": "\xed\xa0\x80"}', "is not UTF-8"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "too many digits"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/videos", "/v1/plan", "/v1/batches", "/v1/videos/r/priority"])
def test_json_that_is_read_in_two_ways_is_refused(
    client: TestClient, path: str, content: bytes, message: str
) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_json")
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([b'name="prompt"\r\n\r\nSchnee f\xe4llt'], "'prompt' is not UTF-8 (byte 9 is 0xe4)"),
        ([b'name="prompt"\r\n\r\na', b'name="prompt"\r\n\r\nb'], "'prompt' is given twice"),
        ([b'name="prompt"\r\n\r\na\0b'], "'prompt' holds the character NUL"),
        ([b'name="\xe4"\r\n\r\na'], "the name of a field is not UTF-8"),
        ([b'name="input_reference"; filename="\xe4.mp4"\r\n\r\na'], "the file name in the field"),
        ([b'name="execution_config"\r\n\r\n{"seed": 1, "seed": 2}'], 'gives the key "seed" more than once'),
        ([b'name="execution_config"\r\n\r\n{"resolution": "\\ud800"}'], "lone surrogate"),
    ],
)
def test_form_that_would_be_changed_is_refused(client: TestClient, fields: list[bytes], message: str) -> None:
    body = (
        b"".join(b"--x\r\nContent-Disposition: form-data; " + field + b"\r\n" for field in fields) + b"--x--\r\n"
    )
    answer = client.post("/v1/videos", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/videos", "/v1/plan"])
@pytest.mark.parametrize("field", ["inputs", "input_reference"])
@pytest.mark.parametrize(
    "change", [{"seconds": 2}, {"execution_config": {"weights": {"edge": 1}, "num_frames": 50}}]
)
def test_message_has_no_path_of_the_server_and_no_id_of_its_own(
    client: TestClient, videos: Path, tmp_path: Path, path: str, field: str, change: dict[str, Any]
) -> None:
    files = {"file": ("my.mp4", (videos / "dock.mp4").read_bytes())}
    file_id = client.post("/v1/files", files=files, data={"purpose": "user_data"}).json()["id"]
    body = request(**change)
    body |= {"inputs": {"video": file_id}} if field == "inputs" else {"inputs": {}, "input_reference": file_id}
    answer = client.post(path, json={"runs": [body]} if path == "/v1/plan" else body)
    [problem] = answer.json()["error"]["problems"]
    assert answer.status_code == 400
    assert problem["field"] == ("seconds" if "seconds" in change else field + ".video" * (field == "inputs"))
    assert problem["remedy"]
    for hidden in (str(tmp_path), "video_", "run-1", "uploads"):
        assert hidden not in answer.text


def test_refused_deletion_names_the_request_that_cancels(client: TestClient) -> None:
    client.post("/v1/videos", json=request(id="r"))
    assert "by POST /v1/videos/r/cancel" in client.delete("/v1/videos/r").json()["error"]["message"]


def test_plan_refuses_ids_that_differ_by_case(client: TestClient) -> None:
    answer = client.post("/v1/plan", json={"runs": [request(id="a"), request(), request(id="A")]})
    [problem] = answer.json()["error"]["problems"]
    assert (answer.status_code, problem["line"], problem["field"]) == (400, 3, "id")
    assert problem["message"] == "is already the id of run 1"


def test_answer_to_many_problems_is_bounded(client: TestClient) -> None:
    unknown = {f"k{n}": 1 for n in range(2000)}
    for path, body in (("/v1/videos", request(**unknown)), ("/v1/plan", {"runs": [request(**unknown)]})):
        answer = client.post(path, json=body)
        assert answer.status_code == 400, path
        assert len(answer.json()["error"]["problems"]) <= 100
        assert len(answer.content) < 50_000


def test_long_key_is_not_echoed_whole(client: TestClient) -> None:
    for key in ("k" * 100_000, "[" * 100_000):
        for path, body in (("/v1/videos", request(**{key: 1})), ("/v1/plan", {"runs": [request(**{key: 1})]})):
            answer = client.post(path, json=body)
            assert answer.status_code == 400
            assert len(answer.content) < 5000


def test_id_that_differs_by_case_is_refused(client: TestClient) -> None:
    assert client.post("/v1/videos", json=request(id="Dock")).status_code == 200
    answer = client.post("/v1/videos", json=request(id="dock"))
    assert answer.status_code == 409
    assert "differs by case alone from Dock" in answer.json()["error"]["message"]


def test_idempotency_key_makes_one_run(client: TestClient, ledger: Ledger) -> None:
    first, second = (
        client.post("/v1/videos", json=request(), headers={"Idempotency-Key": "k1"}).json() for _ in range(2)
    )
    assert first["id"] == second["id"]
    assert ledger.queries.states() == {State.QUEUED: 1}
    other = client.post("/v1/videos", json=request(prompt="another"), headers={"Idempotency-Key": "k1"})
    assert other.status_code == 409
    assert "used for another request" in other.json()["error"]["message"]


def test_id_is_unique(client: TestClient) -> None:
    assert client.post("/v1/videos", json=request(id="mine")).status_code == 200
    assert client.post("/v1/videos", json=request(id="mine")).status_code == 409


def test_pages_have_every_video_once(client: TestClient) -> None:
    made = [client.post("/v1/videos", json=request(id=f"r{n}")).json()["id"] for n in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        page = client.get("/v1/videos", params={"limit": 2, "order": "asc", "after": after}).json()
        seen += [video["id"] for video in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == made


def test_scores_to_be_reached_are_kept_and_the_verdict_is_shown(client: TestClient, ledger: Ledger) -> None:
    rule = {"accept": {"edge_f1": "> 0.5", "black": False}, "attempts": 2}
    made = client.post("/v1/videos", json=request(id="a", **rule)).json()
    assert (made["accept"], made["attempts"]) == ({"edge_f1": ">0.5", "black": "<=0.5"}, 2)
    assert made["acceptance"] is None

    tries = Tries(Acceptance(scores={"edge_f1": ">0.5"}, attempts=2), (Try(42, {"edge_f1": 0.25}),))
    ledger.runs.set_scores({"a": {"edge_f1": 0.25}}, {"a": tries})
    assert client.get("/v1/videos/a").json()["acceptance"] == {
        "accepted": False,
        "seed": 42,
        "missed": ["edge_f1 is 0.25, not >0.5"],
        "tries": [{"seed": 42, "scores": {"edge_f1": 0.25}, "fault": ""}],
    }
    bad = client.post("/v1/videos", json=request(id="b", accept={"edge": ">0.5"}, attempts=0))
    assert bad.status_code == 400
    fields = [problem["field"] for problem in bad.json()["error"]["problems"]]
    assert sorted(fields) == ["accept.edge", "attempts"]


def test_list_is_filtered(client: TestClient) -> None:
    client.post("/v1/videos", json=request(id="a", prompt="a red 100% dock"))
    client.post("/v1/videos", json=request(id="b", execution_config={"weights": {"vis": 1}}))
    client.post("/v1/videos/b/cancel")
    client.post("/v1/videos/a/rating", json={"rating": 4})

    def ids(**query: str) -> list[str]:
        return [video["id"] for video in client.get("/v1/videos", params=query).json()["data"]]

    assert ids(q="100%") == ["a"]
    assert ids(control="vis") == ids(status="failed") == ids(state="cancelled,failed") == ["b"]
    assert ids(rating="4") == ["a"]
    assert client.get("/v1/videos", params={"state": "odd"}).status_code == 400


def test_list_is_filtered_and_sorted_by_scores(client: TestClient, ledger: Ledger) -> None:
    for name in ("a", "b", "c"):
        client.post("/v1/videos", json=request(id=name))
    ledger.runs.set_scores({"a": {"edge_f1": 0.75, "black": 0.0}, "b": {"edge_f1": 0.25, "black": 1.0}})

    def ids(**query: str) -> list[str]:
        return [video["id"] for video in client.get("/v1/videos", params=query).json()["data"]]

    assert ids(score="edge_f1 > 0.5") == ["a"]
    assert ids(score="black>0.5") == ["b"]
    assert ids(sort="edge_f1") == ["a", "b", "c"]
    assert ids(sort="edge_f1", order="asc") == ["b", "a", "c"]
    black = client.get("/v1/videos/b").json()
    assert (black["scores"], black["flags"]) == ({"edge_f1": 0.25, "black": 1.0}, ["black"])
    assert client.get("/v1/videos/c").json()["scores"] == {}


@pytest.mark.parametrize("condition", ["edge_f1", "edge_f1>", "edge_f1=0.5", "edge_f1>nan", "'; drop>1"])
def test_odd_condition_on_a_score_is_refused(client: TestClient, condition: str) -> None:
    answer = client.get("/v1/videos", params={"score": condition})
    assert answer.status_code == 400
    assert "edge_f1>0.5" in answer.json()["error"]["message"]


def test_run_is_cancelled_retried_reprioritised_and_deleted(client: TestClient) -> None:
    client.post("/v1/videos", json=request(id="r"))
    assert client.delete("/v1/videos/r").status_code == 409
    moved = client.post("/v1/videos/r/priority", json={"priority": "urgent"}).json()
    assert moved["priority"] == 100
    cancelled = client.post("/v1/videos/r/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert client.post("/v1/videos/r/priority", json={"priority": 1}).status_code == 409
    assert client.post("/v1/videos/r/retry").json()["status"] == "queued"
    assert client.post("/v1/videos/r/retry").status_code == 409
    reasons = [change["reason"] for change in client.get("/v1/videos/r/history").json()["data"]]
    assert reasons == ["submitted", "priority is now 100", "cancelled", "retried"]
    client.post("/v1/videos/r/cancel")
    assert client.delete("/v1/videos/r").json() == {"id": "r", "object": "video.deleted", "deleted": True}
    assert client.get("/v1/videos/r").status_code == 404


def test_run_whose_video_is_being_published_is_not_cancelled(client: TestClient, ledger: Ledger) -> None:
    client.post("/v1/videos", json=request(id="r"))
    claim = ledger.queue.claim(["r"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "w", lease=60)
    assert claim is not None
    ledger.attempts.start_publication(claim.attempts["r"], 60)
    answer = client.post("/v1/videos/r/cancel")
    assert answer.status_code == 409
    assert "its steps are done" in answer.json()["error"]["message"]
    assert client.get("/v1/videos/r").json()["cancelling"] is False


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("priority", {"priority": "soon"}),
        ("priority", {"priority": 2**40}),
        ("priority", {"priority": True}),
        ("rating", {"rating": 6}),
        ("rating", {}),
        ("rating", {"rating": 3, "more": 1}),
    ],
)
def test_invalid_change_is_refused(client: TestClient, verb: str, body: dict[str, Any]) -> None:
    client.post("/v1/videos", json=request(id="r"))
    answer = client.post(f"/v1/videos/r/{verb}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["problems"]


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_unknown_id_is_not_found(client: TestClient, verb: str) -> None:
    assert client.post(f"/v1/videos/unknown/{verb}").status_code == 404
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/videos/r/remix"), ("GET", "/nowhere.html"), ("PUT", "/v1/videos")]
)
def test_request_without_a_route_is_not_found(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert answer.json()["error"]["message"].startswith(f"there is no {method} {path} here; /docs lists")


def test_head_answers_without_content(client: TestClient, videos: Path) -> None:
    client.post("/v1/videos", json=request(id="r"))
    found = client.head("/v1/videos/r/content?variant=input")
    assert (found.status_code, found.content) == (200, b"")
    assert int(found.headers["content-length"]) == (videos / "dock.mp4").stat().st_size
    assert client.head("/healthz").status_code == 200


def test_idempotency_key_has_a_maximum_length(client: TestClient) -> None:
    key = {"Idempotency-Key": "k" * 255}
    made = client.post("/v1/videos", json=request(), headers=key).json()
    assert client.post("/v1/videos", json=request(), headers=key).json()["id"] == made["id"]
    longer = client.post("/v1/videos", json=request(), headers={"Idempotency-Key": "k" * 256})
    assert (longer.status_code, longer.json()["error"]["param"]) == (400, "idempotency-key")
    counted = 'cosmos_batch_http_requests_total{method="POST",route="/v1/videos",status="200"} 2.0'
    assert counted in client.get("/metrics").text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/videos/..%2f..%2fetc%2fpasswd/content",
        "/v1/videos/r/content?variant=../../ledger.sqlite",
        "/v1/videos/r/content?variant=control_/etc/passwd",
        "/v1/files/..%2fledger.sqlite/content",
        "/..%2f..%2f..%2fpyproject.toml",
        "/%2e%2e/%2e%2e/app.py",
    ],
)
def test_no_path_leads_out_of_the_folders(client: TestClient, path: str) -> None:
    client.post("/v1/videos", json=request(id="r"))
    assert client.get(path).status_code in (400, 404)


def test_link_that_replaced_an_input_is_not_served(client: TestClient, videos: Path, tmp_path: Path) -> None:
    client.post("/v1/videos", json=request(id="r"))
    clip = (videos / "dock.mp4").read_bytes()
    found = client.get("/v1/videos/r/content?variant=input", headers={"Range": "bytes=4-7"})
    assert (found.status_code, found.content, found.headers["content-type"]) == (206, clip[4:8], "video/mp4")
    (tmp_path / "secret").write_text("secret")
    (videos / "dock.mp4").unlink()
    (videos / "dock.mp4").symlink_to(tmp_path / "secret")
    assert client.get("/v1/videos/r/content?variant=input").status_code == 404


def test_text_of_clients_is_sent_as_json_only(client: TestClient) -> None:
    prompt = "<script>alert(1)</script>\x1b[31m"
    made = client.post("/v1/videos", json=request(id="r", prompt=prompt))
    assert made.json()["prompt"] == prompt
    for answer in (made, client.get("/v1/videos/%3Cscript%3E")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]


def test_full_queue_gets_429(make_client: Callable[..., TestClient]) -> None:
    client = make_client(queue_runs=1)
    assert client.post("/v1/videos", json=request()).status_code == 200
    full = client.post("/v1/videos", json=request())
    assert (full.status_code, full.json()["error"]["code"]) == (429, "queue_full")
    assert int(full.headers["retry-after"]) > 0


def test_videos_are_listed_by_the_time_of_their_creation(client: TestClient) -> None:
    video = client.post("/v1/videos", json=request()).json()
    exact = video["updated_at"]
    for query, found in (
        ({"created_after": exact}, 1),
        ({"created_after": exact + 1}, 0),
        ({"created_before": exact}, 0),
        ({"created_before": exact + 1}, 1),
        ({"created_after": exact - 1, "created_before": exact + 1}, 1),
    ):
        assert len(client.get("/v1/videos", params=query).json()["data"]) == found, query
    assert client.get("/v1/videos", params={"created_after": "nan"}).status_code == 400


@pytest.mark.parametrize("field", ["", "inputs", "execution_config", "execution_config.weights"])
@pytest.mark.parametrize("path", ["/v1/videos", "/v1/plan", "/v1/videos/r/priority"])
def test_object_with_very_many_keys_is_refused_before_they_are_read(
    client: TestClient, path: str, field: str
) -> None:
    body: dict[str, Any] = {}
    inner = body
    for name in filter(None, field.split(".")):
        inner[name] = {}
        inner = inner[name]
    inner |= {f"k{number}": "v" for number in range(1001)}
    answer = client.post(path, json={"runs": [body]} if path == "/v1/plan" else body)
    [problem] = answer.json()["error"]["problems"]
    assert (answer.status_code, problem["field"]) == (400, field)
    assert problem["message"] == "has 1,001 keys, k0, k1, k2 and so on"


def test_sweep_tags_and_metadata_are_kept_and_listed_by(client: TestClient) -> None:
    said = {"sweep": "weather", "tags": {"road": "wet"}, "metadata": {"clip": [1, None]}}
    client.post("/v1/videos", json=request(id="a", **said))
    client.post("/v1/videos", json=request(id="b", tags={"road": "dry"}))

    of_sweep = client.get("/v1/videos?sweep=weather").json()["data"]
    wet = client.get("/v1/videos?tag=road:wet").json()["data"]

    assert [video["id"] for video in wet] == [video["id"] for video in of_sweep] == ["a"]
    assert {name: wet[0][name] for name in said} == said
    assert client.get("/v1/videos?tag=road:wet&tag=road:dry").status_code == 400
    assert client.get("/v1/videos?tag=road").json()["error"]["message"] == "'road' is no tag: write NAME:VALUE"
