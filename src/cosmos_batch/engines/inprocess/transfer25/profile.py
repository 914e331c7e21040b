"""Cost of Cosmos-Transfer2.5-2B in this process, on an H100.

| numbers | source |
| --- | --- |
| steps of the 2B network | `STEPS` below, which the cost model meets within 3.5 % |
| bytes | measured by calibration with the whole model loaded: 3.84 GiB of base network, 13.2 of text encoder, |
| | 0.24 of autoencoder, and what is kept of prompts |
| `batch`, pixels, bytes of coding | an H200, the same processor, with 0.1 to 0.5 s of waiting per video |
| | (benchmarks/results/gpu-h200.md) |
| loads | estimates |

The knee: with one control, 1,920 tokens a row, a guided step takes 32.6 ms alone and 31.6 ms per video among
eight, recorded as a CUDA graph; at 5,760 tokens 114 ms alone, 116 ms per video among two. So one run of 1,920
tokens fills the device, and a batch is worth its waiting only for smaller ones.
"""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.engines.profile import GIB, ShippedProfile
from cosmos_batch.planning.cost.model import BRANCH_ATTENTION, CostModel

STEPS = (
    (1_920, 1, 1, 0.0326),
    (1_920, 1, 2, 0.0372),
    (1_920, 1, 4, 0.0457),
    (1_920, 8, 1, 0.2529),
    (5_760, 1, 0, 0.0990),
    (5_760, 1, 1, 0.1140),
    (5_760, 1, 4, 0.1591),
    (5_760, 2, 1, 0.2317),
    (5_760, 4, 1, 0.4565),
    (26_400, 1, 2, 1.0217),
    (37_440, 1, 0, 1.3720),
    (37_440, 1, 1, 1.5635),
    (37_440, 1, 2, 1.7552),
    (37_440, 1, 3, 1.9489),
    (37_440, 1, 4, 2.1212),
    (37_440, 2, 1, 3.1314),
    (63_360, 1, 1, 3.8468),
    (84_480, 1, 1, 6.3392),
    (84_480, 1, 2, 7.0788),
    (84_480, 1, 4, 8.5692),
)
"""Tokens of a row, runs, control branches, seconds: one guided step of the 2B network on an H100 SXM, in bfloat16,
with FlashAttention-3 and compiled blocks (benchmarks/results/gpu-h100.md)."""

PROFILE = ShippedProfile(
    CostModel(
        engine="transfer",
        device="h100",
        load=40.0,
        load_branch=4.0,
        batch=0.1,
        step=0.002,
        token=6.577e-6,
        control=1.002e-6,
        attention=3.166e-10,
        pixel=3.1e-8,
        control_pixel=1.43e-8,
        model_bytes=17.75 * GIB,
        branch_bytes=0.80 * GIB,
        token_bytes=4.9e4,
        row_bytes=2.4e8,
        coding_bytes=1.23e4,
        knee_tokens=3_840,
        memory_bytes=74 * GIB,
    ),
    part_bytes={"text": 13.2 * GIB, "vae": 0.24 * GIB},  # in bfloat16
)

_DISTILLED_ATTENTION = (28 / 27.5) * (1 + 4 / 28) / (1 + BRANCH_ATTENTION)
"""Attention of an unguided pass with one branch over what the general model's coefficient predicts for it.

That one was fitted to guided steps, in which the first self-attention of each network serves both rows: 55 of
56 in the base, 7 of 8 in a branch.
"""

DISTILLED_PROFILE = replace(
    PROFILE,
    cost=replace(
        PROFILE.cost,
        engine="transfer-distilled",
        attention=PROFILE.cost.attention * _DISTILLED_ATTENTION,
        pixel=2.42e-8,
        control_pixel=1.44e-8,
        batch=0.1,
    ),
)
"""Cost of the distilled edge model: the same network, one row and one branch. Decoding and encoding are those of
benchmarks/results/gpu-h200.md without waiting (0.883 and 0.525 s at 832x480x93, 2.017 and 1.207 at 1280x704x93), a
prompt takes 0.04 s; as a run takes seconds, files are read and written behind the steps of others."""
