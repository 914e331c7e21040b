"""Run NVIDIA Cosmos Transfer in bulk: plan runs, batch them, verify the videos.

The names below are loaded at their first use, so that `import cosmos_batch` is fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmos_batch.api.arrivals import predict_arrivals
    from cosmos_batch.api.batches import (
        ExpectedArrivals,
        SmartBatch,
        determine_batch_size,
        get_control_signature,
        group_runs_for_batching,
        smart_batch_generation,
        write_launches,
    )
    from cosmos_batch.api.planning import ExpandedRuns, PlannedRuns, expand, plan
    from cosmos_batch.api.result import RunResult
    from cosmos_batch.api.running import RunResults, run
    from cosmos_batch.client.client import Client
    from cosmos_batch.client.connection import ServerError
    from cosmos_batch.client.server_run import ServerRun
    from cosmos_batch.engines.nvidia.transfer1.spec import (
        create_minimal_base_spec,
        to_cosmos_batch_inference_jsonl,
    )
    from cosmos_batch.errors import CosmosBatchError, InputError, PlanError
    from cosmos_batch.run import Control, GuidedGeneration, Priority, Run, Sampling

__all__ = [
    "Client",
    "Control",
    "CosmosBatchError",
    "ExpandedRuns",
    "ExpectedArrivals",
    "GuidedGeneration",
    "InputError",
    "PlanError",
    "PlannedRuns",
    "Priority",
    "Run",
    "RunResult",
    "RunResults",
    "Sampling",
    "ServerError",
    "ServerRun",
    "SmartBatch",
    "create_minimal_base_spec",
    "determine_batch_size",
    "expand",
    "get_control_signature",
    "group_runs_for_batching",
    "plan",
    "predict_arrivals",
    "run",
    "smart_batch_generation",
    "to_cosmos_batch_inference_jsonl",
    "write_launches",
]

_HOMES = {
    "cosmos_batch.api.planning": {"ExpandedRuns", "PlannedRuns", "expand", "plan"},
    "cosmos_batch.api.result": {"RunResult"},
    "cosmos_batch.api.running": {"RunResults", "run"},
    "cosmos_batch.client.client": {"Client"},
    "cosmos_batch.client.connection": {"ServerError"},
    "cosmos_batch.client.server_run": {"ServerRun"},
    "cosmos_batch.errors": {"CosmosBatchError", "InputError", "PlanError"},
    "cosmos_batch.engines.nvidia.transfer1.spec": {"create_minimal_base_spec", "to_cosmos_batch_inference_jsonl"},
    "cosmos_batch.run": {"Control", "GuidedGeneration", "Priority", "Run", "Sampling"},
    "cosmos_batch.api.arrivals": {"predict_arrivals"},
    "cosmos_batch.api.batches": {
        "ExpectedArrivals",
        "SmartBatch",
        "determine_batch_size",
        "get_control_signature",
        "group_runs_for_batching",
        "smart_batch_generation",
        "write_launches",
    },
}


class _Package(ModuleType):
    """The package: its `run` stays the function, where the import system would set the submodule of that name."""

    @property
    def run(self) -> Any:
        """Make runs in this process."""
        return __getattr__("run")

    @run.setter
    def run(self, module: ModuleType) -> None:
        """Leave the name to the function. `from cosmos_batch.run import Run` needs no attribute."""


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
