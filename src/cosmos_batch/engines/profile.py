"""Shipped cost models: what an engine costs before anything was measured on the machine at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from cosmos_batch.planning.cost.model import CostModel

GIB = 2**30
"""Bytes of a GiB."""


@dataclass(frozen=True, slots=True)
class ShippedProfile:
    """An engine's cost on one device, and the sizes of those parts of it that can be offloaded."""

    cost: CostModel
    part_bytes: Mapping[str, float] = field(default_factory=dict)  # of `cost.model_bytes`: "text", "vae"

    def on(self, device: str) -> CostModel:
        """The cost on a device, for want of better that of the same engine on the profile's own device."""
        return replace(self.cost, device=device)

    def offloaded(self, device: str, parts: Collection[str]) -> CostModel:
        """The cost where parts of the model wait in the host's memory: "text", "vae", "branches".

        One branch is on the device at a time, however many a launch loads, so it counts as part of the model. The
        text encoder holds no more at work than a denoising step holds then, or about as much.
        """
        cost = self.on(device)
        offloaded = sum(self.part_bytes.get(part, 0.0) for part in parts)
        if "branches" not in parts:
            return replace(cost, model_bytes=cost.model_bytes - offloaded)
        return replace(cost, model_bytes=cost.model_bytes - offloaded + cost.branch_bytes, branch_bytes=0.0)
