"""Settings of the benchmarks' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute with one thread: tiny tensors take longer with several."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of processes that the benchmarks start
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
