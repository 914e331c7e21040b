"""Forecast: the planned launches of a worker, as its row in the ledger holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchForecast:
    """A planned batch."""

    runs: tuple[str, ...] = ()  # ids of its first runs
    runs_total: int = 0
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0  # predicted
    bytes: int = 0  # predicted peak of the device's memory
    starts_in: float = 0.0  # seconds after the forecast's time


@dataclass(frozen=True, slots=True)
class LaunchForecast:
    """A planned launch."""

    controls: tuple[str, ...] = ()
    reason: str = ""  # why its runs are together
    load_seconds: float = 0.0
    seconds: float = 0.0
    starts_in: float = 0.0  # seconds after the forecast's time
    runs_total: int = 0
    batches: tuple[BatchForecast, ...] = ()  # the first of them


@dataclass(frozen=True, slots=True)
class Forecast:
    """A worker's planned launches in order; every field at its default where it has not reported any."""

    at: float = 0.0  # seconds since 1970
    flushed: str = ""  # why runs were last planned
    runs: int = 0  # that wait
    seconds: float = 0.0  # predicted, of all that is planned
    launches: tuple[LaunchForecast, ...] = ()
    loaded: str = ""  # label of the kind that the worker's device holds; "": none
    held_back: Mapping[str, str] = field(default_factory=dict)  # why runs may not begin yet, by run id

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        made: dict[str, Any] = _FORECAST.dump_python(self, mode="json")
        return made

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Forecast:
        """Read what `as_json` wrote; {} gives an empty forecast."""
        return _FORECAST.validate_python(value)


_FORECAST = TypeAdapter(Forecast)
