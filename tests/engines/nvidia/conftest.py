"""Fixtures: a small input video."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clips import clip


@pytest.fixture
def street(tmp_path: Path) -> str:
    return str(clip(tmp_path / "street.mp4", width=65, height=48, fps=29.97))
