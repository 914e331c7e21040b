"""Requests to runs: what the server's engine cannot make here is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice, traits_of
from cosmos_batch.errors import InputError
from cosmos_batch.run import GuidedGeneration
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.service.runs.parse_request import RequestParser
from cosmos_batch.service.runs.present import execution_config
from tests.support.clips import clip


def test_control_that_cannot_be_estimated_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    preview = BuiltInEngines().preview(EngineChoice(), executes=True)
    assert preview.problems == ()
    parser = RequestParser(preview.traits, "pocket", AllowedDirectories((tmp_path,)), lambda _id: None)
    video = str(clip(tmp_path / "in.mp4"))

    def request(**inputs: str) -> dict[str, object]:
        weights = {"depth": 0.5, "seg": 0.5}
        return {"prompt": "rain", "inputs": {"video": video, **inputs}, "execution_config": {"weights": weights}}

    with pytest.raises(InputError) as refused:
        parser.parse(request(), "run-1")
    assert [problem.field for problem in refused.value.problems] == ["controls.depth", "controls.seg"]
    assert parser.parse(request(depth=video, seg=video), "run-1").run.signature == ("depth", "seg")


@pytest.fixture
def parser(tmp_path: Path) -> RequestParser:
    return RequestParser(traits_of("transfer"), "model", AllowedDirectories((tmp_path,)), lambda _id: None)


def guided(tmp_path: Path, mask: str, **settings: object) -> dict[str, object]:
    """The body of a request with guided generation."""
    return {
        "prompt": "rain",
        "inputs": {"video": str(clip(tmp_path / "in.mp4")), "guided_generation_mask": str(tmp_path / mask)},
        "execution_config": {"weights": {"edge": 0.5}, **settings},
    }


def test_request_may_have_guided_generation_and_conditional_frames(parser: RequestParser, tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((6, 4, 6), np.uint8))
    settings = {"guided_generation_step_threshold": 9, "guided_generation_foreground_labels": [1, 2]}
    run = parser.parse(guided(tmp_path, "labels.npz", num_conditional_frames=2, **settings), "r").run
    assert run.guided_generation == GuidedGeneration(
        mask=str(tmp_path / "labels.npz"), step_threshold=9, foreground_labels=(1, 2)
    )
    assert run.sampling.num_conditional_frames == 2
    shown = execution_config(run)
    assert {name: shown[name] for name in settings} == settings


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mask.npz", b"PK\x03\x04 and nothing", "cannot be read as labels"),
        ("mask.mp4", None, "holds labels"),
        ("mask.mp4", b"no video", "is no video or image"),
    ],
)
def test_mask_that_cannot_be_read_is_named(
    parser: RequestParser, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Without content the mask holds labels."""
    body = guided(tmp_path, name)
    np.savez(tmp_path / "labels.npz", np.ones((6, 4, 6), np.uint8))
    (tmp_path / name).write_bytes((tmp_path / "labels.npz").read_bytes() if content is None else content)
    with pytest.raises(InputError) as refused:
        parser.parse(body, "r")
    (problem,) = refused.value.problems
    assert problem.field == "inputs.guided_generation_mask"
    assert message in problem.message


@pytest.mark.parametrize(("frames", "fits"), [(1, True), (3, False)])
def test_mask_of_one_frame_does_not_limit_the_seconds(
    parser: RequestParser, tmp_path: Path, frames: int, fits: bool
) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((frames, 4, 6), np.uint8))
    body = guided(tmp_path, "labels.npz", fps=10.0) | {"seconds": 0.5}
    if fits:
        assert parser.parse(body, "r").run.sampling.num_frames == 5
    else:
        with pytest.raises(
            InputError, match="is longer than the video: 5 frames at 10 frames per second; it has 3"
        ):
            parser.parse(body, "r")


def test_labels_are_no_video(parser: RequestParser, tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((6, 4, 6), np.uint8))
    body = guided(tmp_path, "labels.npz")
    body["inputs"] = {"video": str(tmp_path / "labels.npz")}
    with pytest.raises(InputError, match="holds labels, and no video"):
        parser.parse(body, "r")


def test_request_may_name_a_span_of_a_video(parser: RequestParser, tmp_path: Path) -> None:
    clip(tmp_path / "in.mp4", frames=6)

    def body(**span: object) -> dict[str, object]:
        inputs = {"video": {"path": "in.mp4", **span}, "edge_mask": "in.mp4#frames=3+2"}
        return {"prompt": "rain", "inputs": inputs, "execution_config": {"weights": {"edge": 0.5}}}

    parsed = parser.parse(body(start=1, frames=2), "r")
    assert parsed.run.video == f"{tmp_path}/in.mp4#frames=1+2"
    assert parsed.run.controls[0].mask == f"{tmp_path}/in.mp4#frames=3+2"
    assert parsed.run.sampling.num_frames == 2
    with pytest.raises(InputError) as refused:
        parser.parse(body(start=5, frames=2), "r")
    (problem,) = refused.value.problems
    assert (problem.field, problem.found) == ("inputs.video", '"in.mp4#frames=5+2"')
    assert "longer than the rest" in problem.message
    with pytest.raises(InputError) as unknown:
        parser.parse(body(path="gone.mp4", start=5), "r")
    assert [problem.field for problem in unknown.value.problems] == ["inputs.video.path"]
