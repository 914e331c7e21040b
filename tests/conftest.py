"""Fixtures and settings for all tests."""

from __future__ import annotations

import os

import pytest

from cosmos_batch.run import Control, Run, Sampling
from tests.support.runs import MakeRun

# Before anything imports Triton or PyTorch, here and in processes that tests start
os.environ["TRITON_INTERPRET"] = "1"  # kernels run in the interpreter, on the CPU
os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors take longer with several threads, and tests run side by side


@pytest.fixture
def make_run() -> MakeRun:
    """Make a run: `make_run("edge", "depth", seed=7)`, its id counting up unless it is given."""
    count = 0

    def make(*names: str, weight: float = 0.5, **fields: object) -> Run:
        nonlocal count
        count += 1
        settings = {name: fields.pop(name) for name in list(fields) if name in Sampling.__slots__}
        controls = tuple(Control(name=name, weight=weight) for name in names)
        given = {"id": f"r{count}", "prompt": f"prompt {count}", "video": "/in/a.mp4", "controls": controls}
        return Run(**(given | fields), sampling=Sampling(**settings))

    return make


@pytest.fixture
def standard(make_run: MakeRun) -> list[Run]:
    """The standard scenario: six runs with edge, three with edge and depth, one with all four controls."""
    all_four = ("edge", "depth", "seg", "vis")
    sets = [("edge",)] * 6 + [("edge", "depth")] * 3 + [all_four]
    return [make_run(*names) for names in sets]
