"""The published Cosmos-Transfer2.5-2B and its distilled edge model: settings, names of files, scheduler."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.controls import CONTROLS
from cosmos_batch.engines.inprocess.model_files import HubCheckpoint, PublishedModel
from cosmos_batch.engines.inprocess.model_settings import DISTILLED_STEPS, ModelSettings
from cosmos_batch.engines.inprocess.transfer25.profile import DISTILLED_PROFILE, PROFILE
from cosmos_batch.engines.inprocess.transfer25.weights import network_files
from cosmos_batch.engines.resolutions import TRANSFER25_SIZES
from cosmos_batch.run import Sampling

SIGMA_MIN = 0.01
"""Lower end of the published checkpoint's schedule, before the change to flow sigmas s / (1 + s)."""

# The default of diffusers' pipeline (pipeline_cosmos2_5_transfer.py, line 78). NVIDIA's own script has another one
# (cosmos_transfer2/config.py, line 210), which `formats.common` holds for runs in that script's format.
_NEGATIVE_PROMPT = (
    "The video captures a series of frames showing ugly scenes, static with no motion, motion blur, "
    "over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit areas, "
    "underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky "
    "movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, "
    "fake elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. "
    "Overall, the video is of poor quality."
)

SETTINGS = ModelSettings(
    name="Cosmos-Transfer2.5-2B",
    sizes={
        resolution: {f"{wide}:{high}": size for (wide, high), size in buckets.items()}
        for resolution, buckets in TRANSFER25_SIZES.items()
    },
    chunk_frames=93,
    overlap=1,
    guardrail="nvidia",
    defaults=Sampling(
        num_steps=36,
        guidance=3.0,
        sigma_max=200.0,
        seed=2025,
        fps="input",
        resolution="720",
        negative_prompt=_NEGATIVE_PROMPT,
    ),
)
"""The published checkpoint, as its diffusers pipeline and NVIDIA's resolution table have it."""

PUBLISHED = PublishedModel(
    hub_prefix="nvidia/Cosmos-Transfer2.5",
    hub_id="nvidia/Cosmos-Transfer2.5-2B",
    revision="diffusers/general",
    control_revision="diffusers/controlnet/general/{}",
    control_names={name: control.checkpoint for name, control in CONTROLS.items() if control.checkpoint},
    scheduler={
        "_class_name": "UniPCMultistepScheduler",
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "use_karras_sigmas": True,
        "sigma_min": SIGMA_MIN,
    },
    scheduler_defaults={
        "disable_corrector": [],
        "final_sigmas_type": "zero",
        "lower_order_final": True,
        "predict_x0": True,
        "solver_order": 2,
        "solver_p": None,
        "solver_type": "bh2",
        "thresholding": False,
    },
    scheduler_summary=(
        "UniPC of order 2 on Karras-spaced flow sigmas, predicting the flow (as Cosmos-Transfer2.5's)"
    ),
    settings=SETTINGS,
    profile=PROFILE,
    networks=network_files,
)

DISTILLED_SETTINGS = replace(
    SETTINGS,
    name="Cosmos-Transfer2.5-2B distilled edge",
    defaults=replace(SETTINGS.defaults, num_steps=DISTILLED_STEPS, guidance=0.0, negative_prompt=""),
    sampler="distilled",
    known_sigma=1e-4,
    bfloat16_levels=True,
)
"""The distilled edge model, as cosmos-transfer2.5 samples it (_src/interactive/methods, `sigma_conditional`)."""

DISTILLED = PublishedModel(
    hub_prefix=PUBLISHED.hub_prefix,
    hub_id=f"{PUBLISHED.hub_id}@distilled/edge",
    revision=PUBLISHED.revision,
    control_revision="",
    control_names={"edge": "edge"},
    scheduler={},
    scheduler_defaults={},
    scheduler_summary="",
    settings=DISTILLED_SETTINGS,
    profile=DISTILLED_PROFILE,
    label="the distilled edge model",
    checkpoint=HubCheckpoint(
        revision="bbaeedb2b57cc8b14a44653099e2551adb69dcc7",
        file="distilled/general/edge/41f07f13-f2e4-4e34-ba4c-86f595acbc20_ema_bf16.pt",
    ),
    networks=network_files,
)
"""NVIDIA's distilled edge model: one file with base and branch, which were trained together. Text encoder and
autoencoder are the general model's."""
