"""Guided generation as the formats give it: a mask, the last guided step, the labels of the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.problems import Location
from cosmos_batch.run import STEP_THRESHOLD, GuidedGeneration

LABELS_SUFFIX = ".npz"
"""Suffix of masks that hold labels in place of a picture."""

_THRESHOLD = "guided_generation_step_threshold"
_LABELS = "guided_generation_foreground_labels"


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


def idle_settings(
    mask: str | None, threshold: int | None, labels: Sequence[int] | None, location: Location, mask_field: str
) -> list[Problem]:
    """Problems of settings that have no effect: without a mask, or labels with a mask that has none."""
    found: list[Problem] = []
    given = {_THRESHOLD: threshold, _LABELS: None if labels is None else list(labels)}
    if mask is None:
        found += [
            location.problem(name, "has no effect without a mask", f"give {mask_field}, or remove it", value)
            for name, value in given.items()
            if value is not None
        ]
    elif labels is not None and not is_label_file(mask):
        message = "has no effect: the mask is a video or a picture, which has no labels"
        remedy = f"remove it, or give {mask_field} as an {LABELS_SUFFIX} file of labels"
        found.append(location.problem(_LABELS, message, remedy, given[_LABELS]))
    return found
