"""Cost models to start from, before anything was measured on the machine at hand.

| profile | where its numbers come from |
| --- | --- |
| transfer, h100 | steps of the 2B network, `STEPS` below, which it meets within 3.5 %; bytes as calibration |
| | measured them with the whole model loaded (3.84 GiB of base network, 13.2 of text encoder, 0.24 of |
| | autoencoder, and what is kept of prompts); `batch`, pixels and bytes of coding from an H200, the same |
| | processor, with 0.1 to 0.5 s a video in which it waits (benchmarks/results/gpu-h200.md); loads are estimates |
| transfer1, h100 | an estimate throughout: two minutes to load, about a minute for 121 frames with one control. |
| transfer25, h100 | an estimate throughout: the network's times a little above those of transfer; bytes from the |
| | 65.4 GB that NVIDIA's documentation gives for one GPU at 720 |
| cosmos3, h100 | an estimate throughout: four times the network of transfer; its memory is a guess |
| pocket, cpu | two cores: `cosmos-batch calibrate`, 2026-11-30; loads and bytes are estimates. |

The knee of the H100: with one control, 1,920 tokens a row, a guided step takes 32.6 ms alone and 31.6 ms per video
among eight, recorded as a CUDA graph; at 5,760 tokens 114 ms alone, 116 ms per video among two. So one run of
1,920 tokens fills the device, and a batch is worth its waiting only for smaller ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cosmos_batch.errors import PlanError
from cosmos_batch.planning.cost.model import CostModel

_GIB = 2**30

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

PROFILES = (
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
        model_bytes=17.75 * _GIB,
        branch_bytes=0.80 * _GIB,
        token_bytes=4.9e4,
        row_bytes=2.4e8,
        coding_bytes=1.23e4,
        knee_tokens=3_840,
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
        weight_map=2.0,
        knee_tokens=8_000,
        memory_bytes=74 * _GIB,
    ),
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
        model_bytes=43 * _GIB,
        branch_bytes=0.9 * _GIB,
        token_bytes=1.0e5,
    ),
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
        model_bytes=40 * _GIB,
        branch_bytes=0.0,
        token_bytes=1.5e5,
    ),
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
        model_bytes=0.4 * _GIB,
        branch_bytes=0.01 * _GIB,
        token_bytes=1.0e5,
        knee_tokens=600,
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


_PARTS = {"transfer": {"text": 13.2 * _GIB, "vae": 0.24 * _GIB}}
"""What is in `model_bytes` of the text encoder and of the autoencoder, in bfloat16, by engine."""


def offloaded(cost: CostModel, parts: Collection[str]) -> CostModel:
    """A profile from above where parts of the model wait in the host's memory: "text", "vae", "branches".

    Of the branches, one is on the device at a time, however many a launch loads: it counts as part of the model.
    What the text encoder holds while it is at work is less than a denoising step holds then, or about as much.
    """
    sizes = _PARTS.get(cost.engine, {})
    waiting = sum(sizes.get(part, 0.0) for part in parts)
    if "branches" not in parts:
        return replace(cost, model_bytes=cost.model_bytes - waiting)
    return replace(cost, model_bytes=cost.model_bytes - waiting + cost.branch_bytes, branch_bytes=0.0)
