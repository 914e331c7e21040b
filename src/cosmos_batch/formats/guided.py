"""Guided generation as the formats give it: a mask, the last guided step, the labels of the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.problems import Location
from cosmos_batch.run import STEP_THRESHOLD, GuidedGeneration, Run

MASK: Final = "guided_generation_mask"
"""The field, or the input, that is the mask of guided generation."""
LABELS_SUFFIX = ".npz"
"""Suffix of masks that hold labels in place of a picture."""

THRESHOLD = "guided_generation_step_threshold"
"""The field of the last guided step."""
FOREGROUND = "guided_generation_foreground_labels"
"""The field of the labels that are white."""


def guided_generation(
    mask: str | None, threshold: int | None, labels: Sequence[int] | None, paths: PathResolver
) -> GuidedGeneration | None:
    """The guided generation of a run with that mask; None without a mask."""
    if mask is None:
        return None
    return GuidedGeneration(
        mask=paths.resolve(mask),
        step_threshold=STEP_THRESHOLD if threshold is None else threshold,
        foreground_labels=tuple(labels) if labels and is_label_file(mask) else None,
    )


def is_label_file(path: str | PurePath) -> bool:
    """Whether a path names a file of labels, by its suffix."""
    return PurePath(path).suffix.lower() == LABELS_SUFFIX


def guided_settings(run: Run) -> dict[str, Any]:
    """The settings of a run's guided generation beside its mask, as NVIDIA and a native run name them."""
    guided = run.guided_generation
    if guided is None:
        return {}
    made: dict[str, Any] = {THRESHOLD: guided.step_threshold}
    if guided.foreground_labels is not None:
        made[FOREGROUND] = list(guided.foreground_labels)
    return made


def idle_settings(
    mask: str | None, threshold: int | None, labels: Sequence[int] | None, location: Location, mask_field: str
) -> list[Problem]:
    """Problems of settings that have no effect: without a mask, or labels with a mask that has none."""
    found: list[Problem] = []
    given = {THRESHOLD: threshold, FOREGROUND: None if labels is None else list(labels)}
    if mask is None:
        found += [
            location.problem(name, "has no effect without a mask", f"give {mask_field}, or remove it", value)
            for name, value in given.items()
            if value is not None
        ]
    elif labels is not None and not is_label_file(mask):
        message = "has no effect: the mask is a video or a picture, which has no labels"
        remedy = f"remove it, or give {mask_field} as an {LABELS_SUFFIX} file of labels"
        found.append(location.problem(FOREGROUND, message, remedy, given[FOREGROUND]))
    return found
