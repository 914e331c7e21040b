"""Self-description of a server: run states, controls, limits of settings, id pattern, for its clients."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from cosmos_batch.controls import CONTROLS, PRESETS
from cosmos_batch.formats.guided import FOREGROUND, THRESHOLD
from cosmos_batch.ledger import State
from cosmos_batch.ledger.models import ENDED
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import MAX_STEP_THRESHOLD, Priority, RunId, Sampling, Strength
from cosmos_batch.score_names import DIRECTIONS, ESTIMATED, own_scorers
from cosmos_batch.service.schemas.system import ControlInfo, ScoreInfo, SettingInfo, StateInfo

_LABELS = {
    State.QUEUED: "waiting",
    State.LEASED: "starting",
    State.RUNNING: "running",
    State.PREEMPTED: "preempted",
    State.SUCCEEDED: "finished",
    State.FAILED: "failed",
    State.BLOCKED: "blocked",
    State.CANCELLED: "cancelled",
}
_RETRYABLE = (State.FAILED, State.BLOCKED, State.CANCELLED)

PRIORITIES = {priority.name.lower(): int(priority) for priority in Priority}
"""The named priorities, lowest first."""

PRIORITY_LEVELS = {priority.name.lower(): priority.least for priority in Priority}
"""The least priority of each level, lowest first."""


def state_infos() -> list[StateInfo]:
    """Describe every state of a run, in the order in which a run passes them."""
    return [
        StateInfo(name=state, label=label, ended=state in ENDED, retryable=state in _RETRYABLE)
        for state, label in _LABELS.items()
    ]


def control_infos(traits: Traits) -> list[ControlInfo]:
    """Describe the controls of an engine, sorted by name."""
    return [
        ControlInfo(name=name, about=CONTROLS[name].about, preset=CONTROLS[name].preset)
        for name in sorted(traits.controls)
    ]


def score_infos() -> list[ScoreInfo]:
    """Describe the scores that videos may have."""
    known = {**DIRECTIONS, **dict(ESTIMATED.values()), **dict.fromkeys(own_scorers(), True)}
    return [ScoreInfo(name=name, more_is_better=better) for name, better in known.items()]


def setting_infos(traits: Traits) -> dict[str, SettingInfo]:
    """Describe the settings of `execution_config` that an engine has, by name."""
    lacking = set() if traits.free_overlap else {"num_conditional_frames"}
    if not traits.guided_generation:
        lacking |= {THRESHOLD, FOREGROUND}
    return {name: info for name, info in _all_settings().items() if name not in lacking}


@cache
def _all_settings() -> dict[str, SettingInfo]:
    """Describe all settings, from the types that validate them."""
    properties = TypeAdapter(Sampling).json_schema()["properties"]
    strengths = TypeAdapter(Strength).json_schema()["enum"]
    presets = {name: SettingInfo(type="string", choices=strengths) for name in PRESETS}
    guided = {
        THRESHOLD: SettingInfo(type="integer", minimum=0, maximum=MAX_STEP_THRESHOLD),
        FOREGROUND: SettingInfo(type="array"),
    }
    return {name: _setting_info(schema) for name, schema in properties.items()} | guided | presets


@cache
def id_pattern() -> str:
    """Return the regular expression of a run's id."""
    return str(TypeAdapter(RunId).json_schema()["pattern"])


def _setting_info(schema: dict[str, Any]) -> SettingInfo:
    """The first type that the setting takes; null and special values come after it."""
    main = schema["anyOf"][0]
    return SettingInfo(
        type=main["type"],
        minimum=main.get("minimum"),
        exclusive_minimum=main.get("exclusiveMinimum"),
        maximum=main.get("maximum"),
        pattern=main.get("pattern"),
    )
