"""/v1/files: OpenAI's Files API. /v1/roots: the folders whose files requests may name."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.ledger import FileRecord
from cosmos_batch.media.untrusted import file_type
from cosmos_batch.service.http.errors import ApiError, not_found
from cosmos_batch.service.http.file_content import FileContent
from cosmos_batch.service.routes.paging import After, FilesLimit, Order, Playable
from cosmos_batch.service.runs.uploads import VIDEO_PURPOSES
from cosmos_batch.service.schemas.files import File, FileDeleted, FileList, FolderEntry, FolderListing
from cosmos_batch.service.state import AppStateDep, KeyNameDep

router = APIRouter(prefix="/v1", tags=["files"])

Id = Annotated[str, InPath(max_length=64)]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": ["user_data", "vision", "batch"]},
                    },
                }
            }
        },
    }
}


@router.post("/files", response_model=File, openapi_extra=_BODY)
async def create_file(request: Request, app: AppStateDep, key_name: KeyNameDep) -> File:
    """Upload a video or image (purpose user_data or vision), or a file of requests (purpose batch)."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise ApiError(415, "unsupported_media_type", "send multipart/form-data with the fields file and purpose")
    form = await app.files.uploads.receive(content_type, request.stream())
    try:
        fields = dict(form.fields)
        if len(fields) < len(form.fields):
            raise ApiError(400, "bad_form", "a field of the form is given twice; send each field once")
        purpose = fields.get("purpose", "")
        if [name for name, _ in form.files] != ["file"]:
            remedy = "send exactly one file, in the field 'file'"
            raise InputError([Problem("", None, "file", "", "is missing, or not the only file", remedy)])
        keep = partial(app.files.uploads.keep, form.files[0][1], purpose, key_name)
        return _file_object(await app.files.pools.probes.run(keep))
    finally:
        form.discard()


@router.get("/files", response_model=FileList)
def list_files(
    app: AppStateDep,
    after: After = "",
    limit: FilesLimit = 10_000,
    order: Order = "desc",
    purpose: Annotated[str, Query(max_length=32)] = "",
) -> FileList:
    """List files."""
    found = app.ledger.files.page(purpose=purpose, after=after, limit=limit + 1, newest_first=order == "desc")
    data = [_file_object(record) for record in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/files/{file_id}", response_model=File)
def get_file(file_id: Id, app: AppStateDep) -> File:
    """Get the record of a file."""
    return _file_object(app.files.uploads.get(file_id))


@router.head("/files/{file_id}/content", include_in_schema=False)
@router.get("/files/{file_id}/content", response_class=FileResponse)
async def get_content(file_id: Id, app: AppStateDep, playable: Playable = False) -> Response:
    """Get the content of a file."""
    record = await asyncio.to_thread(app.files.uploads.get, file_id)
    path = Path(record.path)
    if not await asyncio.to_thread(path.is_file):
        raise not_found("file", file_id)
    video = record.purpose in VIDEO_PURPOSES
    if video and playable:
        path = await app.files.playable(path)
    kind = (await asyncio.to_thread(file_type, path))[1] if video else "application/jsonl"
    return FileContent(path, media_type=kind, filename=path.name, content_disposition_type="inline")


@router.delete("/files/{file_id}", response_model=FileDeleted)
def delete_file(file_id: Id, app: AppStateDep) -> FileDeleted:
    """Delete a file. Refused while a waiting or running video needs it."""
    app.files.uploads.delete(file_id)
    return FileDeleted(id=file_id)


@router.get("/roots", response_model=FolderListing)
def list_roots(app: AppStateDep, path: Annotated[str, Query(max_length=4096)] = "") -> FolderListing:
    """List a folder within the roots; without a path, the roots."""
    found = app.files.allowed.entries(path)
    if found is None:
        raise not_found("folder within the roots", path)
    entries = [FolderEntry(path=e.path, name=e.name, folder=e.folder, bytes=e.bytes) for e in found]
    return FolderListing(path=path, parent=app.files.allowed.parent(path) if path else None, data=entries)


def _file_object(record: FileRecord) -> File:
    """Make OpenAI's file object of a record."""
    facts = record.facts
    return File(
        id=record.id,
        bytes=record.bytes,
        created_at=int(record.created),
        filename=record.name,
        purpose=record.purpose,
        width=facts.width if facts else None,
        height=facts.height if facts else None,
        frames=facts.frames if facts else None,
        fps=facts.fps if facts else None,
    )
