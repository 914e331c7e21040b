"""Cost of NVIDIA's Transfer1 script on an H100: an estimate throughout.

Two minutes to load, about a minute for 121 frames with one control.
"""

from __future__ import annotations

from cosmos_batch.engines.profile import GIB, ShippedProfile
from cosmos_batch.planning.cost.model import CostModel

PROFILE = ShippedProfile(
    CostModel(
        engine="transfer1",
        device="h100",
        load=120.0,
        load_branch=10.0,
        batch=1.0,
        step=0.01,
        token=7.0e-6,
        control=3.0e-6,
        attention=5.0e-11,
        pixel=8.0e-8,
        model_bytes=48 * GIB,
        branch_bytes=4 * GIB,
        token_bytes=1.0e5,
        weight_map=2.0,
        knee_tokens=8_000,
        memory_bytes=74 * GIB,
    ),
)
