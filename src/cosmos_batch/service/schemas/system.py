"""Bodies of /v1/models, /v1/server and /healthz."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from cosmos_batch.ledger import State


class ModelObject(BaseModel):
    """OpenAI's model object."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "cosmos-batch"


class ModelList(BaseModel):
    """The models of the server."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class StateInfo(BaseModel):
    """A state of a run."""

    name: State
    label: str = Field(description="the state in words")
    ended: bool = Field(description="a run in this state has ended")
    retryable: bool = Field(description="a run in this state can be queued again")


class ControlInfo(BaseModel):
    """A control that the engine has."""

    name: str
    about: str = Field(description="one line on what the control is")
    preset: str | None = Field(description="the setting that holds its preset")


class SettingInfo(BaseModel):
    """Type and limits of a setting of execution_config."""

    type: Literal["integer", "number", "string", "boolean", "array"] = Field(description="array: of whole numbers")
    minimum: float | None = None
    exclusive_minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = Field(None, description="regular expression of a text")
    choices: list[str] | None = Field(None, description="the texts that are allowed")


class ScoreInfo(BaseModel):
    """A score of finished videos."""

    name: str
    more_is_better: bool


class ServerInfo(BaseModel):
    """The server's settings that a client needs before any other request."""

    object: Literal["server"] = "server"
    version: str
    keys_required: bool
    signed_in: bool
    model: str
    engine: str
    controls: list[str]
    defaults: dict[str, Any]
    own_settings: list[str] = Field(
        description="settings whose defaults precede those that a format of NVIDIA's fills in for another model"
    )
    roots: list[str]
    limits: dict[str, float]
    states: list[StateInfo]
    control_infos: list[ControlInfo] = Field(description="the controls, described")
    scores: list[ScoreInfo] = Field(description="the scores that videos may have, in the order of showing")
    settings: dict[str, SettingInfo] = Field(description="limits of execution_config, by setting")
    priorities: dict[str, int] = Field(description="named priorities, lowest first")
    priority_levels: dict[str, int] = Field(description="the least priority of each level, lowest first")
    id_pattern: str = Field(description="regular expression of a run's id")


class Health(BaseModel):
    """The health of the service."""

    status: Literal["ok", "degraded", "unavailable"]
    detail: str = ""
