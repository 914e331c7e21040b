"""Fixtures of the GPU benchmarks' tests: tiny networks on the CPU, with a stand-in for diffusers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.gpu.folder import TINY
from benchmarks.gpu.models import Setup
from tests.support.diffusers_standin import diffusers_standin
from tests.support.published_model import write_published_model


@pytest.fixture
def setup() -> Setup:
    """Tiny networks on the CPU."""
    return Setup(TINY, torch.device("cpu"), diffusers_standin, text_tokens=4)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the published layout."""
    return write_published_model(tmp_path_factory.mktemp("published") / "model")
