"""Detects the format of a file by the keys of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice

from cosmos_batch.controls import CONTROLS

SAMPLE_SIZE = 64  # first records, which vote, so that one unusual line does not decide


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
_NAMED = frozenset({"name", "prompt_path"})  # keys of Transfer2.5, and of Cosmos 3 where no other key decides
_BRANCHES = frozenset(control.transfer1 for control in CONTROLS.values() if control.transfer1)
_TRANSFER25_BRANCH = frozenset({"control_path", "mask_path", "mask_prompt", "control_prompt"})


def format_of(records: Iterable[Mapping[str, object]]) -> Format | None:
    """The format of most of the first records; None where no record has a known format."""
    votes = Counter(found for record in islice(records, SAMPLE_SIZE) if (found := _format_of_record(record)))
    return votes.most_common(1)[0][0] if votes else None


def _format_of_record(record: Mapping[str, object]) -> Format | None:
    for format_, keys in _MARKS:
        if not keys.isdisjoint(record):
            return format_
    branches = [value for key, value in record.items() if key in _BRANCHES and isinstance(value, dict)]
    if any("weight" in branch for branch in branches):
        return Format.COSMOS3
    if not _NAMED.isdisjoint(record) or any(not _TRANSFER25_BRANCH.isdisjoint(branch) for branch in branches):
        return Format.TRANSFER25
    return Format.SPEC if branches else None
