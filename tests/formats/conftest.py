"""Fixtures: a writer of input files, and small files in place of videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.format_files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file: text or bytes as they are, a list as JSONL, an object as JSON."""

    def writer(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, list):
            path.write_text("".join(json.dumps(line) + "\n" for line in content))
        else:
            path.write_text(json.dumps(content, indent=2))
        return path

    return writer


@pytest.fixture(autouse=True)
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files that pass for videos (no test opens them), and a working directory apart from them."""
    for name in ("street.mp4", "depth.mp4"):
        (tmp_path / name).write_bytes(b"not empty")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
