"""A service's world for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.service_world import World


@pytest.fixture
def world(tmp_path: Path, place: Path | URL) -> Iterator[World]:
    made = World(tmp_path, place)
    yield made
    made.ledger.close()
