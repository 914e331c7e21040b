"""Reading the body of a request that asks for videos: JSON, or a form with the videos in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.service.http.errors import ApiError, bad_input
from cosmos_batch.service.http.multipart import Form, nested
from cosmos_batch.service.runs.parse_request import TEXTS
from cosmos_batch.service.runs.uploads import Uploads

_INPUT = "inputs["


@dataclass(slots=True)
class Asked:
    """What a request asks for."""

    body: dict[str, Any]
    form: Form = field(default_factory=Form)  # what came with it


async def read_asked(request: Request, uploads: Uploads, owner: str) -> dict[str, Any]:
    """The body as the JSON object that it is or stands for; files in it are kept, and named by their ids.

    Raises Refusal, InputError, StorageError and LedgerError.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await uploads.receive(content_type, request.stream())
        try:
            return await asyncio.to_thread(_of_form, form, uploads, owner)
        finally:
            form.discard()
    if kind not in ("application/json", ""):
        message = f"{kind[:80]!r} is not taken here; send application/json or multipart/form-data"
        raise ApiError(415, "unsupported_media_type", message)
    return json_object(await request.body())


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Refusal."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "bad_json", f"the body is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ApiError(400, "bad_json", "the body is not a JSON object")
    return value


def _of_form(form: Form, uploads: Uploads, owner: str) -> dict[str, Any]:
    body = nested(form.fields, TEXTS)
    inputs = body.get("inputs") or {}
    if form.files and not isinstance(inputs, dict):
        raise bad_input([Problem("", None, "inputs", "", "is not an object", "")])
    for field_name, received in form.files:
        name = _input_name(field_name)
        if name in inputs:
            remedy = "send one video for each input"
            raise InputError([Problem("", None, field_name[:80], "", "is given twice", remedy)])
        inputs[name] = uploads.keep(received, "user_data", owner, field_name[:80]).id
    return body | ({"inputs": inputs} if inputs else {})


def _input_name(field_name: str) -> str:
    """Which input a file of a form is."""
    if field_name == "input_reference":
        return "video"
    if field_name.startswith(_INPUT) and field_name.endswith("]"):
        return field_name[len(_INPUT) : -1]
    remedy = "name it input_reference, inputs[video], or inputs[edge] and the like for a control video"
    raise InputError([Problem("", None, field_name[:80], "", "is not a file that is asked for", remedy)])
