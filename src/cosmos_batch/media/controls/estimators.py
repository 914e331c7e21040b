"""Estimates depth and object masks with public models, through `transformers` (the "estimators" extra).

Depth-Anything-V2 gives depth; GroundingDINO finds the things that a prompt names in the first frame, and SAM2
follows them through the video. Pictures are prepared here for SAM2, as the extra does not include torchvision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError, MissingExtraError
from cosmos_batch.media.controls.estimation import DEPTH_MODEL, DETECTOR, EXTRA, TRACKER
from cosmos_batch.media.video import Frames

MAX_OBJECTS = 100
"""The most objects that are tracked: `num_masks_max` in NVIDIA's auxiliary/sam2/sam2_utils.py."""

_THRESHOLDS = ((0.15, 0.25), (0.1, 0.1))
# Box and text threshold of GroundingDINO, and a pair for a second attempt: auxiliary/sam2/sam2_model.py.
_TEXT_TOKENS = 256  # GroundingDINO was trained on no more
_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # of ImageNet; SAM2 expects pictures scaled by it
_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
_BOX_CORNERS = torch.tensor([[[2, 3]]], dtype=torch.int32)  # SAM2's labels of a box's first and second corner


@dataclass
class TransformersEstimator:
    """Depth and masks by models, each loaded at its first use and kept.

    `depth_model`, `detector` and `tracker` are hub ids or local folders. Every method raises MissingExtraError if
    `transformers` is not installed, and MediaError if the weights cannot be loaded.
    """

    depth_model: str = DEPTH_MODEL
    detector: str = DETECTOR
    tracker: str = TRACKER
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def identity(self) -> str:
        """Everything that the results depend on beside the input."""
        return f"{self.depth_model} {self.detector} {self.tracker}"

    def depth(self, frames: Frames) -> NDArray[np.float32]:
        """Relative depth, nearer is larger: [frames, height, width, 3] to [frames, height, width]."""
        processor, model = self._depth
        return np.stack([self._depth_of(frame, processor, model) for frame in frames])

    def objects(self, frames: Frames, prompt: str) -> NDArray[np.bool_]:
        """Masks of the things that `prompt` names, the most certain first: [objects, frames, height, width]."""
        boxes = self._boxes(frames[0], prompt)[:MAX_OBJECTS]
        if not len(boxes):
            return np.zeros((0, *frames.shape[:3]), np.bool_)
        return self._tracked(frames, boxes)

    @cached_property
    def _depth(self) -> tuple[Any, Any]:
        api = _transformers("making depth control videos")
        with _loading(self.depth_model, "depth"):
            return (
                api.AutoImageProcessor.from_pretrained(self.depth_model),
                api.AutoModelForDepthEstimation.from_pretrained(self.depth_model).to(self.device).eval(),
            )

    @cached_property
    def _detector(self) -> tuple[Any, Any]:
        api = _transformers("making seg control videos and masks")
        with _loading(self.detector, "seg"):
            return (
                api.AutoProcessor.from_pretrained(self.detector),
                api.AutoModelForZeroShotObjectDetection.from_pretrained(self.detector).to(self.device).eval(),
            )

    @cached_property
    def _tracker(self) -> tuple[Callable[..., Any], Any]:
        api = _transformers("making seg control videos and masks")
        with _loading(self.tracker, "seg"):
            model = api.Sam2VideoModel.from_pretrained(self.tracker).to(self.device).eval()
            return api.Sam2VideoInferenceSession, model

    @torch.inference_mode()
    def _depth_of(self, frame: Frames, processor: Any, model: Any) -> NDArray[np.float32]:
        inputs = processor(images=frame, return_tensors="pt").to(self.device)
        depth = model(**inputs).predicted_depth[None].float()
        full = functional.interpolate(depth, size=frame.shape[:2], mode="bicubic", align_corners=False)
        return np.asarray(full[0, 0].cpu().numpy(), np.float32)

    @torch.inference_mode()
    def _boxes(self, frame: Frames, prompt: str) -> torch.Tensor:
        """Boxes (left, top, right, bottom) in pixels of the things found, [boxes, 4], the most certain first."""
        processor, model = self._detector
        text = prompt.lower().rstrip(". ") + "."
        inputs = processor(
            images=frame, text=text, return_tensors="pt", truncation=True, max_length=_TEXT_TOKENS
        ).to(self.device)
        outputs = model(**inputs)
        for box_threshold, text_threshold in _THRESHOLDS:
            found = processor.post_process_grounded_object_detection(
                outputs,
                inputs.input_ids,
                threshold=box_threshold,
                text_threshold=text_threshold,
                target_sizes=[frame.shape[:2]],
            )[0]
            if len(found["boxes"]):
                break
        boxes: torch.Tensor = found["boxes"][found["scores"].argsort(descending=True)].cpu()
        return boxes

    @torch.inference_mode()
    def _tracked(self, frames: Frames, boxes: torch.Tensor) -> NDArray[np.bool_]:
        new_session, model = self._tracker
        side = int(model.config.image_size)
        height, width = frames.shape[1:3]
        session = new_session(
            video=torch.stack([_prepared(frame, side) for frame in frames]),
            video_height=height,
            video_width=width,
            inference_device=self.device,
            inference_state_device="cpu",
            video_storage_device="cpu",
            dtype=model.dtype,
        )
        corners = boxes.reshape(-1, 2, 2) * torch.tensor([side / width, side / height])
        for index, corner in enumerate(corners):
            points = {"point_coords": corner[None, None], "point_labels": _BOX_CORNERS}
            session.add_point_inputs(session.obj_id_to_idx(index), 0, points)
        session.obj_with_new_inputs = list(range(len(corners)))
        masks = np.empty((len(boxes), *frames.shape[:3]), np.bool_)
        for step in model.propagate_in_video_iterator(session, start_frame_idx=0):
            scores = functional.interpolate(step.pred_masks.float(), size=(height, width), mode="bilinear")
            masks[:, step.frame_idx] = (scores[:, 0] > 0).cpu().numpy()
        return masks


def _prepared(frame: Frames, side: int) -> torch.Tensor:
    """A picture as SAM2 takes it, [3, side, side]."""
    planes = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    square = functional.interpolate(planes[None], size=(side, side), mode="bilinear", antialias=True)[0]
    return (square - _MEAN) / _STD


def _transformers(purpose: str) -> ModuleType:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(purpose, EXTRA) from error
    module: ModuleType = transformers
    return module


@contextmanager
def _loading(model: str, control: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"loading {model}", EXTRA) from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise MediaError(
            f"{model}: its weights cannot be loaded ({reason}); supply the {control} control video, name a folder "
            "that holds the model, or let it be downloaded from the Hugging Face hub"
        ) from error
