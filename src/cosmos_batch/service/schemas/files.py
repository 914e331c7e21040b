"""Bodies of /v1/files and /v1/roots."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class File(BaseModel):
    """OpenAI's file object, extended by the facts of a video."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None
    expires_at: int | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[File]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class FileDeleted(BaseModel):
    """A deleted file."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class FolderEntry(BaseModel):
    """A file or folder of a listing."""

    path: str
    name: str
    folder: bool
    bytes: int


class FolderListing(BaseModel):
    """The content of a folder within the roots."""

    object: Literal["list"] = "list"
    path: str
    parent: str | None
    data: list[FolderEntry]
