"""Body of a request for a video: JSON, or a form that carries the videos."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.service.http.errors import ApiError, bad_input
from cosmos_batch.service.http.json_body import json_object
from cosmos_batch.service.http.multipart import Form, nested
from cosmos_batch.service.runs.media_pool import MediaPool
from cosmos_batch.service.runs.parse_request import TEXT_FIELDS
from cosmos_batch.service.runs.uploads import Uploads

_INPUT = "inputs["


async def read_body(request: Request, uploads: Uploads, probes: MediaPool, owner: str) -> dict[str, Any]:
    """Read the body as a JSON object; files of a form are stored, and the object has their ids.

    Raises ApiError, InputError, StorageError and LedgerError.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await uploads.receive(content_type, request.stream())
        try:
            return await probes.run(partial(_form_body, form, uploads, owner))
        finally:
            form.discard()
    if kind not in ("application/json", ""):
        message = f"{kind[:80]!r} is not supported; send application/json or multipart/form-data"
        raise ApiError(415, "unsupported_media_type", message)
    return await json_object(await request.body())


def _form_body(form: Form, uploads: Uploads, owner: str) -> dict[str, Any]:
    body = nested(form.fields, TEXT_FIELDS)
    inputs = body.get("inputs") or {}
    if form.files and not isinstance(inputs, dict):
        raise bad_input([Problem("", None, "inputs", "", "is not an object", "")])
    for field_name, file in form.files:
        name = _input_name(field_name)
        span = inputs.get(name)
        if name in inputs and not (isinstance(span, dict) and "path" not in span):
            remedy = "send one video for each input"
            raise InputError([Problem("", None, field_name[:80], "", "is given twice", remedy)])
        file_id = uploads.keep(file, "user_data", owner, field_name[:80]).id
        inputs[name] = {**span, "path": file_id} if span else file_id
    return body | ({"inputs": inputs} if inputs else {})


def _input_name(field_name: str) -> str:
    """Get the input's name from the field name of a file."""
    if field_name == "input_reference":
        return "video"
    if field_name.startswith(_INPUT) and field_name.endswith("]"):
        return field_name[len(_INPUT) : -1]
    remedy = "name it input_reference, inputs[video], or inputs[edge] and the like for a control video"
    raise InputError([Problem("", None, field_name[:80], "", "is not a known field for a file", remedy)])
