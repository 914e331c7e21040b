"""Requests to runs: what the server's engine cannot make here is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice
from cosmos_batch.errors import InputError
from cosmos_batch.service.runs.allowed_dirs import AllowedDirectories
from cosmos_batch.service.runs.parse_request import RequestParser
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
