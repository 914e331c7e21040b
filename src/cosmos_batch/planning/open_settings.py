"""The settings that runs leave open, with the values that planning filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cosmos_batch.planning.batch_keys import SETTINGS
from cosmos_batch.run import ResolvedRun, Run

_SHOWN = 3  # values of a setting that its text names
_TEXT = 60  # characters of a value in the text


@dataclass(frozen=True, slots=True)
class OpenSetting:
    """A sampling setting that some runs leave open."""

    name: str
    values: tuple[Any, ...]  # those that were filled in, each once, in the order of the runs
    runs: int  # number of runs that leave it open
    of: int  # number of all runs

    def __str__(self) -> str:
        shown = [_text(value) for value in self.values[:_SHOWN]]
        more = len(self.values) - _SHOWN
        values = ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
        return f"{self.name} {values}" + (f" ({self.runs:,} of {self.of:,} runs)" if self.runs < self.of else "")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"setting": self.name, "values": list(self.values), "runs": self.runs}


def open_settings(given: Sequence[Run], resolved: Iterable[ResolvedRun]) -> tuple[OpenSetting, ...]:
    """The settings that some of the given runs leave open, with their values in the same runs, resolved."""
    found: dict[str, dict[Any, None]] = {name: {} for name in SETTINGS}
    counts = dict.fromkeys(SETTINGS, 0)
    for run, full in zip(given, resolved, strict=True):
        for name in SETTINGS:
            if getattr(run.sampling, name) is None:
                found[name][getattr(full.sampling, name)] = None
                counts[name] += 1
    return tuple(
        OpenSetting(name, tuple(found[name]), count, len(given)) for name, count in counts.items() if count
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = repr(value) if isinstance(value, str) and " " in value else str(value)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."
