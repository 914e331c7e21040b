"""Garbage collection is paused and restored."""

from __future__ import annotations

import gc

import pytest

from cosmos_batch.planning.gc_pause import gc_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_as_before_after_the_pause(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with gc_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(ZeroDivisionError), gc_paused():
            _ = 1 / 0
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
