"""Detects the format of a file by the keys of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice

from cosmos_batch.controls import CONTROLS
from cosmos_batch.formats.nvidia import cosmos3, transfer1_schema, transfer25

SAMPLE_SIZE = 64  # first records, which vote, so that one unusual line does not decide


class Format(Enum):
    """The formats that are read."""

    NATIVE = "native"
    SPEC = "Transfer1 controlnet spec"
    SAMPLES = "Transfer1 batch"
    TRANSFER25 = "Transfer2.5"
    COSMOS3 = "Cosmos 3"
    SWEEP = "sweep"


# Keys that decide alone, whatever stands beside them: the first format that has one.
_MARKS = (
    (Format.NATIVE, frozenset({"execution_config", "inputs", "job_type", "priority", "id"})),
    (Format.SAMPLES, frozenset({"visual_input", "control_overrides"})),
    (Format.TRANSFER25, frozenset({"video_path"})),
    (Format.COSMOS3, frozenset({"vision_path"})),
    (Format.SPEC, frozenset({"input_video_path"})),
)
_SPECS = {
    Format.COSMOS3: cosmos3.FIELDS,
    Format.TRANSFER25: transfer25.FIELDS,
    Format.SPEC: transfer1_schema.FIELDS,
}
_ONE_FORMAT = {
    format_: fields.difference(*(others for other, others in _SPECS.items() if other is not format_))
    for format_, fields in _SPECS.items()
}
"""Of each of NVIDIA's formats the keys that no other one has. One of them decides where no path does."""
_NAMED = frozenset({"name", "prompt_path"})  # keys of Transfer2.5, and of Cosmos 3 where no other key decides
_BRANCHES = frozenset(control.transfer1 for control in CONTROLS.values() if control.transfer1)
_TRANSFER25_BRANCH = frozenset({"control_path", "mask_path", "mask_prompt", "control_prompt"})


def format_of(records: Iterable[Mapping[str, object]]) -> Format | None:
    """The format of most of the first records that decide it, else of most of the others; None for none."""
    votes = [_vote(record) for record in islice(records, SAMPLE_SIZE)]
    for certain in (True, False):
        found = Counter(format_ for format_, decided in votes if format_ and decided is certain)
        if found:
            return found.most_common(1)[0][0]
    return None


def is_undecided(record: Mapping[str, object]) -> bool:
    """Whether a record may be of Transfer2.5 or of Cosmos 3: no key of it belongs to one of them alone."""
    return _vote(record) == (Format.TRANSFER25, False)


def _vote(record: Mapping[str, object]) -> tuple[Format | None, bool]:
    """The format of a record, and whether a key decides it."""
    for format_, keys in _MARKS:
        if not keys.isdisjoint(record):
            return format_, True
    branches = [value for key, value in record.items() if key in _BRANCHES and isinstance(value, dict)]
    if any("weight" in branch for branch in branches):
        return Format.COSMOS3, True
    own = {format_: len(keys.intersection(record)) for format_, keys in _ONE_FORMAT.items()}
    most = max(own, key=lambda format_: own[format_])
    if own[most]:
        return most, True
    if not _NAMED.isdisjoint(record) or any(not _TRANSFER25_BRANCH.isdisjoint(branch) for branch in branches):
        return Format.TRANSFER25, False
    return (Format.SPEC, False) if branches else (None, False)
