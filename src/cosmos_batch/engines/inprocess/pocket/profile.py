"""Cost of the pocket model on two CPU cores: `cosmos-batch calibrate`, 2026-11-30.

Loads and bytes are estimates.
"""

from __future__ import annotations

from cosmos_batch.engines.profile import GIB, ShippedProfile
from cosmos_batch.planning.cost.model import CostModel

PROFILE = ShippedProfile(
    CostModel(
        engine="pocket",
        device="cpu",
        load=0.5,
        load_branch=0.05,
        batch=0.1,
        step=0.0,
        token=1.27e-4,
        control=3.02e-5,
        attention=8.5e-9,
        pixel=6.4e-7,
        control_pixel=2.2e-7,
        model_bytes=0.4 * GIB,
        branch_bytes=0.01 * GIB,
        token_bytes=1.0e5,
        knee_tokens=600,
    ),
)
