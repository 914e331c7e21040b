"""Cost of NVIDIA's Cosmos 3 script on an H100: an estimate throughout.

Four times the network of Transfer2.5; its memory is a guess.
"""

from __future__ import annotations

from cosmos_batch.engines.profile import GIB, ShippedProfile
from cosmos_batch.planning.cost.model import CostModel

PROFILE = ShippedProfile(
    CostModel(
        engine="cosmos3",
        device="h100",
        load=120.0,
        load_branch=0.0,
        batch=10.0,
        step=0.05,
        token=1.6e-5,
        control=1.6e-5,
        attention=9.0e-10,
        pixel=1.5e-7,
        model_bytes=40 * GIB,
        branch_bytes=0.0,
        token_bytes=1.5e5,
    ),
)
