"""Bodies of /v1/models, /v1/server and /healthz."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


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
    roots: list[str]
    limits: dict[str, float]


class Health(BaseModel):
    """The health of the service."""

    status: Literal["ok", "degraded", "unavailable"]
    detail: str = ""
