"""Cost of NVIDIA's Transfer2.5 script on an H100: an estimate throughout.

The network's times are a little above those of the in-process engine; the bytes follow from the 65.4 GB that
NVIDIA's documentation gives for one GPU at 720.
"""

from __future__ import annotations

from cosmos_batch.engines.profile import GIB, ShippedProfile
from cosmos_batch.planning.cost.model import CostModel

PROFILE = ShippedProfile(
    CostModel(
        engine="transfer25",
        device="h100",
        load=90.0,
        load_branch=8.0,
        batch=10.0,
        step=0.02,
        token=4.0e-6,
        control=4.0e-6,
        attention=4.5e-10,
        pixel=1.5e-7,
        model_bytes=43 * GIB,
        branch_bytes=0.9 * GIB,
        token_bytes=1.0e5,
    ),
)
