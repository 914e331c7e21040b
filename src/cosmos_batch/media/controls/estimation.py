"""What making control videos by models needs: the packages of the extra, and the weights. Imports neither.

The default models are those of NVIDIA's cosmos-transfer1 (checkpoints.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

DEPTH_MODEL = "depth-anything/Depth-Anything-V2-Small-hf"
DETECTOR = "IDEA-Research/grounding-dino-tiny"
TRACKER = "facebook/sam2-hiera-large"

EXTRA = "estimators"
_PACKAGES = ("transformers", "huggingface_hub", "PIL")  # of the extra
_MODELS: Mapping[str, tuple[str, ...]] = {"depth": (DEPTH_MODEL,), "seg": (DETECTOR, TRACKER)}


def lacking_extra() -> bool:
    """Whether a package of the extra is not installed."""
    return any(find_spec(package) is None for package in _PACKAGES)


def unreachable_models(control: str) -> tuple[str, ...]:
    """The models for depth or seg that are not in the hub's cache, where the environment forbids to fetch them."""
    if lacking_extra():
        return ()
    from huggingface_hub import constants, try_to_load_from_cache

    if not constants.HF_HUB_OFFLINE:
        return ()
    return tuple(
        model for model in _MODELS[control] if not isinstance(try_to_load_from_cache(model, "config.json"), str)
    )
