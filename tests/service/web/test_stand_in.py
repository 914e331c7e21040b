"""The stand-in server speaks as the real one does: its answers have the real shapes, and no field of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from cosmos_batch.service.schemas import files, queue, stats, system, videos
from tests.service.web import canned
from tests.service.web.fake import Fake, app_of

BODY = {"prompt": "fog", "inputs": {"video": "/data/a.mp4"}, "execution_config": {"weights": {"edge": 1}}}


@pytest.fixture
def client() -> Iterator[TestClient]:
    known = Fake({}, unplanned={"video_0006"})
    known.add(*canned.everything())
    with TestClient(app_of(known), headers={"X-Requested-With": "cosmos-batch"}) as opened:
        yield opened


ANSWERS = {
    "/v1/server": system.ServerInfo,
    "/v1/videos?limit=100": videos.VideoList,
    "/v1/videos/video_0007": videos.Video,
    "/v1/videos/video_0007/history": videos.VideoHistory,
    "/v1/queue": queue.Queue,
    "/v1/stats": stats.Stats,
    "/v1/roots": files.FolderListing,
    "/v1/roots?path=/data": files.FolderListing,
}


@pytest.mark.parametrize("path", ANSWERS)
def test_what_is_asked_for_is_answered_in_shape(client: TestClient, path: str) -> None:
    check(ANSWERS[path], client.get(path).json())


def test_a_plan_a_submission_and_an_upload_are_answered_in_shape(client: TestClient) -> None:
    videos.VideoRequest.model_validate(BODY)
    check(queue.PlanPreview, client.post("/v1/plan", json={"runs": [BODY]}).json())
    key = {"Idempotency-Key": "1"}
    check(videos.Video, client.post("/v1/videos", json=BODY, headers=key).json())
    sent = client.post("/v1/files", files={"file": ("a.mp4", b"film")}, data={"purpose": "user_data"})
    check(files.File, sent.json())
    check(files.FileList, client.get("/v1/files").json())


def check(shape: type[BaseModel], answer: dict[str, Any]) -> None:
    """Hold an answer against a shape: nothing is missing, nothing of another type, nothing beside it."""
    read = shape.model_validate(answer)
    assert beside(answer, read.model_dump()) == []


def beside(answer: Any, known: Any) -> list[str]:
    """The fields of an answer that its shape does not know."""
    if isinstance(answer, dict) and isinstance(known, dict):
        return [k for k in answer if k not in known] + [
            x for k in answer if k in known for x in beside(answer[k], known[k])
        ]
    if isinstance(answer, list) and isinstance(known, list):
        return [x for one, other in zip(answer, known, strict=True) for x in beside(one, other)]
    return []
