"""Cost models to start from, before anything was measured on the machine at hand.

| profile | where its numbers come from |
| --- | --- |
| transfer, h100 | timings of the 2B network's forward, `FORWARDS` below, which it meets within 4.1 %; |
| | bytes: 8.2 GiB of weights with four branches, 3.6 GiB more per row of 37,440 tokens; |
| | model load, `batch` and `pixel` are estimates |
| transfer1, h100 | an estimate throughout: two minutes to load, about a minute for 121 frames with one control. |
| pocket, cpu | an estimate throughout, for two cores. |

The knee of the H100: with one control, 1,920 tokens a row, a row takes 26 ms alone, 16.4 ms among four, 16.3 ms
among eight; so nothing is gained above 4 x 1,920, about 8,000 tokens.
"""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.errors import PlanError
from cosmos_batch.planning.cost import CostModel

_GIB = 2**30

FORWARDS = (
    (1_920, 1, 1, 0.0261),
    (1_920, 4, 1, 0.0658),
    (1_920, 8, 1, 0.1304),
    (5_760, 1, 1, 0.0619),
    (5_760, 4, 1, 0.2314),
    (37_440, 1, 1, 0.9291),
    (37_440, 1, 4, 1.2792),
    (84_480, 1, 1, 3.6376),
)
"""Tokens of a row, rows, control branches, seconds: one forward pass of the 2B network on an H100 SXM, bf16."""

PROFILES = (
    CostModel(
        engine="transfer",
        device="h100",
        load=40.0,
        load_branch=4.0,
        batch=1.0,
        step=0.010556,
        token=3.339e-6,
        control=3.339e-6,
        attention=4.499e-10,
        pixel=1.2e-7,
        model_bytes=4.7 * _GIB,
        branch_bytes=0.875 * _GIB,
        token_bytes=1.0e5,
        knee_tokens=8_000,
        memory_bytes=74 * _GIB,
    ),
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
        model_bytes=48 * _GIB,
        branch_bytes=4 * _GIB,
        token_bytes=1.0e5,
        knee_tokens=8_000,
        memory_bytes=74 * _GIB,
    ),
    CostModel(
        engine="pocket",
        device="cpu",
        load=0.5,
        load_branch=0.05,
        batch=0.1,
        step=0.01,
        token=1.5e-4,
        control=3.0e-5,
        attention=1.0e-8,
        pixel=1.0e-6,
        model_bytes=0.4 * _GIB,
        branch_bytes=0.01 * _GIB,
        token_bytes=1.0e5,
        knee_tokens=1_200,
    ),
)


def profile(engine: str, device: str) -> CostModel:
    """The cost model to start from; on a device without one, that of the same engine on another device.

    Raises PlanError for an engine that has no profile at all.
    """
    of_engine = [model for model in PROFILES if model.engine == engine]
    if not of_engine:
        known = ", ".join(sorted({model.engine for model in PROFILES}))
        raise PlanError(f"no cost profile for engine {engine!r}; there are some for {known}")
    exact = [model for model in of_engine if model.device == device]
    return exact[0] if exact else replace(of_engine[0], device=device)
