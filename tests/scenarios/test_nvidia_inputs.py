"""Inputs that change while one of NVIDIA's scripts runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.inputs import file_digest
from cosmos_batch.engines.nvidia.process_run import ScriptProcess
from tests.support.nvidia_world import DONE, World, states


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_script_runs_again_where_an_input_changed_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    video = world.video("street")
    run, before, fetch = world.run("a"), file_digest(Path(video)), ScriptProcess._fetch

    def fetch_late(process: ScriptProcess, output: str, name: str) -> Path | None:
        if file_digest(Path(video)) == before:
            Path(video).unlink()
            world.video("street", shade=200)
        return fetch(process, output, name)

    monkeypatch.setattr(ScriptProcess, "_fetch", fetch_late)

    ended = world.make([run])

    assert states(ended) == {"a": DONE}
    made = json.loads((world.root / "out" / "a" / "run.json").read_text())
    assert made["inputs"][0]["sha256"] == file_digest(Path(video)) != before
    assert made["guardrail"] == ["prompt", "video"]
    assert world.shows(run)
