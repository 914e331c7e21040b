"""What a service expects of its queue, and the rules that it has chosen, as a setting holds them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from cosmos_batch.planning.policies.flush import FlushRules


@dataclass(frozen=True, slots=True)
class ExpectedKind:
    """The runs of a kind that are expected."""

    label: str  # of the kind
    controls: tuple[str, ...]
    run: str  # id of its latest run
    per_second: float  # arrivals at the moment of the prediction
    per_hour: float  # arrivals in the hour after it
    next_in: float | None  # seconds in which the next run arrives as likely as not; None: not to be said


@dataclass(frozen=True, slots=True)
class Saving:
    """What the chosen rules have saved so far against the fixed ones, by replays of all arrivals since then."""

    runs: int = 0  # that were replayed
    seconds: float = 0.0  # of all runs together, from arrival to the video; negative: lost
    gpu_seconds: float = 0.0  # of all devices, loads included; negative: lost


@dataclass(frozen=True, slots=True)
class QueuePrediction:
    """What is expected, and the rules in force; every field at its default where nothing is predicted."""

    at: float = 0.0  # seconds since 1970
    flush: FlushRules | None = None  # chosen; None: those of the settings
    patience: float | None = None  # chosen, seconds; see `PlacementRules`; None: that of the settings
    reason: str = ""  # why, in a sentence for people
    kinds: tuple[ExpectedKind, ...] = ()  # the likeliest first
    arrivals: int = 0  # runs that it was learnt from
    saving: Saving = Saving()

    def as_json(self) -> bytes:
        """Return a JSON text that `from_json` reads."""
        return _PREDICTION.dump_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> QueuePrediction:
        """Read what `as_json` wrote; an empty text gives an empty prediction. Raises ValueError."""
        return _PREDICTION.validate_json(text) if text else cls()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        made: dict[str, Any] = _PREDICTION.dump_python(self, mode="json")
        return made


_PREDICTION = TypeAdapter(QueuePrediction)
PREDICTION = "prediction"
"""The setting that holds the prediction of a service."""
