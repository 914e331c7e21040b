"""The in-process engine with a tiny random model, and a clip for its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.recording_guardrail import RecordingGuardrail
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.inprocess.loader import load_engine
from cosmos_batch.media.controls.cache import ControlCache
from tests.support.tiny_model import CONTROLS, write_clip, write_tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, which no test may change."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def screening() -> RecordingGuardrail:
    """The engine's guardrail, which keeps the frames that it is shown."""
    return RecordingGuardrail()


@pytest.fixture
def engine(model: Path, tmp_path: Path, screening: RecordingGuardrail) -> InProcessEngine:
    """An engine with all four controls."""
    return load_engine(str(model), CONTROLS, ControlCache(tmp_path / "controls"), guardrail=screening)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """A clip of 25 frames."""
    return write_clip(tmp_path / "clip.mp4", 25)
