"""The server itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Model(BaseModel):
    """OpenAI's model object."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "cosmos-batch"


class ModelList(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[Model]


class ServerInfo(BaseModel):
    """What a page needs to know before it asks for anything else."""

    object: Literal["server"] = "server"
    version: str
    keys_required: bool
    signed_in: bool
    model: str
    engine: str
    controls: list[str]
    defaults: dict[str, Any]
    roots: list[str]
    limits: dict[str, float]


class Health(BaseModel):
    """Whether the service can do its work."""

    status: Literal["ok", "degraded", "unavailable"]
    detail: str = ""
