"""Which format a file is in, told by the keys of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice

from cosmos_batch.controls import CONTROLS

SAMPLE_SIZE = 64  # records that vote, so that one odd line does not decide for the file


class Format(Enum):
    """The formats that are read."""

    NATIVE = "native"
    SPEC = "Transfer1 controlnet spec"
    SAMPLES = "Transfer1 batch"
    TRANSFER25 = "Transfer2.5"
    COSMOS3 = "Cosmos 3"


_MARKS = (
    (Format.NATIVE, frozenset({"execution_config", "inputs", "job_type", "priority", "id"})),
    (Format.SAMPLES, frozenset({"visual_input", "control_overrides"})),
    (Format.TRANSFER25, frozenset({"video_path"})),
    (Format.COSMOS3, frozenset({"vision_path", "blur", "wsm", "aspect_ratio", "control_guidance", "model_mode"})),
    (Format.SPEC, frozenset({"input_video_path"})),
)
_NAMED = frozenset({"name", "prompt_path"})  # of Transfer2.5, and of Cosmos 3 where nothing else tells
_BRANCHES = frozenset(control.transfer1 for control in CONTROLS.values() if control.transfer1)
_TRANSFER25_BRANCH = frozenset({"control_path", "mask_path", "mask_prompt", "control_prompt"})


def format_of(records: Iterable[Mapping[str, object]]) -> Format | None:
    """The format that most of the first records show; None where none of them shows any."""
    votes = Counter(mark for record in islice(records, SAMPLE_SIZE) if (mark := _mark(record)))
    return votes.most_common(1)[0][0] if votes else None


def _mark(record: Mapping[str, object]) -> Format | None:
    for shape, keys in _MARKS:
        if not keys.isdisjoint(record):
            return shape
    branches = [value for key, value in record.items() if key in _BRANCHES and isinstance(value, dict)]
    if any("weight" in branch for branch in branches):
        return Format.COSMOS3
    if not _NAMED.isdisjoint(record) or any(not _TRANSFER25_BRANCH.isdisjoint(branch) for branch in branches):
        return Format.TRANSFER25
    return Format.SPEC if branches else None
