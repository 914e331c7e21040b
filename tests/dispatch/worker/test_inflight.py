"""In-flight markers on disk: what is read from a complete, an old and a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosmos_batch.dispatch.worker.inflight import (
    DISPATCHING,
    ENGINE,
    STARTING,
    Inflight,
    InflightMarker,
    read_inflight,
)
from cosmos_batch.errors import StorageError


def test_marker_names_the_runs_of_the_call_and_no_others_after_it(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    now = 10.0
    marker = InflightMarker(path, "w", lambda: now)
    assert read_inflight(path) == Inflight("w", STARTING)

    marker.ready()
    marker.enter({"a run with a long name": 3, "b": 0})
    assert read_inflight(path) == Inflight("w", ENGINE, {"a run with a long name": 3, "b": 0})

    now = 12.5
    marker.leave()
    assert read_inflight(path) == Inflight("w", DISPATCHING)
    assert marker.busy == 2.5


def test_marker_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    path.write_text(json.dumps({"worker": "w", "phase": "engine", "aboard": {"a": 3}}))

    assert read_inflight(path) == Inflight("w", ENGINE, {"a": 3})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"worker": "w", "phase": "engine"}'])
def test_damaged_marker_names_no_worker(tmp_path: Path, text: str) -> None:
    (tmp_path / "0.json").write_text(text)

    assert read_inflight(tmp_path / "0.json") == Inflight("", STARTING)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    assert read_inflight(tmp_path / "missing" / "0.json") == Inflight("", STARTING)
    with pytest.raises(StorageError, match="is gone"):
        InflightMarker(tmp_path / "missing" / "0.json", "w")
