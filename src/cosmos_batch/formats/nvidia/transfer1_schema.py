"""Models of Cosmos-Transfer1's files: the fields of NVIDIA's `transfer.py`, with its defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cosmos_batch.formats.common import (
    STOCK_NEGATIVE_PROMPT,
    STOCK_PROMPT,
    PathText,
    PromptText,
    StrictModel,
    Text,
    only,
)
from cosmos_batch.run import Fps, Guidance, Seed, Sigma, Steps, Strength, Weight

BranchName = Literal["vis", "seg", "edge", "depth", "keypoint", "upscale", "hdmap", "lidar"]
BRANCHES: tuple[BranchName, ...] = get_args(BranchName)

_CHECKPOINT_REMEDY = "remove it: the engine chooses the checkpoint"
_REGIONS_REMEDY = "remove it: a control, not the prompt, can be limited to a region, by control_weight_prompt"


def _weight(value: object) -> object:
    """A weight as NVIDIA reads it: a number, or a text that is one."""
    if not isinstance(value, str):
        return value
    if value.endswith(".pt"):
        remedy = (
            "weight maps (.pt) are read only where they hold one value; give a number and control_weight_prompt, "
            "or a Transfer2.5 spec with a mask video as mask_path"
        )
        raise PydanticCustomError("unsupported", "is a weight map", {"remedy": remedy})
    try:
        return float(value)
    except ValueError:
        return value


def _blank_is_none(value: object) -> object:
    """NVIDIA's specs write "" for no input video."""
    return None if value == "" else value


VideoPath = Annotated[PathText | None, BeforeValidator(_blank_is_none)]
BranchWeight = Annotated[
    Weight,
    BeforeValidator(_weight),
    Field(description="a number of at least 0; 0 leaves the control out"),
]


class Branch(StrictModel):
    """One control of a spec, after its overrides."""

    control_weight: BranchWeight = 0.5
    input_control: PathText | None = None
    control_weight_prompt: Text | None = None
    ckpt_path: Annotated[Any, only(None, _CHECKPOINT_REMEDY)] = None
    sigma_max: Sigma | None = None  # NVIDIA's robot sample has it here, where it does nothing


class SegBranch(Branch):
    input_control_prompt: Text | None = None


class Transfer1Settings(StrictModel):
    """A spec without its controls: the command line of NVIDIA's script."""

    prompt: PromptText = STOCK_PROMPT
    negative_prompt: Text = STOCK_NEGATIVE_PROMPT
    input_video_path: VideoPath = None
    num_steps: Steps = 35
    guidance: Guidance = 5.0
    sigma_max: Sigma = 70.0
    seed: Seed = 1
    fps: Fps = 24.0
    blur_strength: Strength = "medium"
    canny_threshold: Strength = "medium"
    # Settings that change the video and that a run does not have.
    num_input_frames: Annotated[Any, only(1, "remove it: 1 is the only choice")] = 1
    num_video_frames: Annotated[Any, only(121, "remove it: nothing reads it, chunks have 121 frames")] = 121
    regional_prompts: Annotated[Any, only([], _REGIONS_REMEDY)] = None
    is_av_sample: Annotated[Any, only(False, _CHECKPOINT_REMEDY)] = False
    use_distilled: bool | None = False  # the checkpoint of edge that makes a video in one step
    upsample_prompt: Annotated[Any, only(False, "remove it, and write the longer prompt yourself")] = False
    save_input_noise: Annotated[Any, only(False, "remove it: noise is not kept")] = False
    batch_input_path: Annotated[Any, only(None, "remove it, and name the batch file beside the spec")] = None
    # Settings of NVIDIA's process that do not change the video: cosmos-batch chooses them.
    checkpoint_dir: Any = None
    tokenizer_dir: Any = None
    video_save_name: Any = None
    video_save_folder: Any = None
    batch_size: Any = None
    num_gpus: Any = None
    offload_diffusion_transformer: Any = None
    offload_text_encoder_model: Any = None
    offload_guardrail_models: Any = None
    offload_prompt_upsampler: Any = None
    benchmark: Any = None


class Spec(Transfer1Settings):
    vis: Branch | None = None
    seg: SegBranch | None = None
    edge: Branch | None = None
    depth: Branch | None = None
    keypoint: Branch | None = None
    upscale: Branch | None = None
    hdmap: Branch | None = None
    lidar: Branch | None = None


FIELDS = frozenset(Spec.model_fields)
"""The keys of a spec."""


class Transfer1Sample(StrictModel):
    visual_input: VideoPath = None
    prompt: PromptText | None = None
    control_overrides: dict[BranchName, dict[str, Any]] = Field(default_factory=dict)
