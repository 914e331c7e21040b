"""Files, and folders of which files may be picked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class File(BaseModel):
    """OpenAI's file object; what a video says of itself beside it."""

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
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class FolderEntry(BaseModel):
    """A file or folder that may be picked."""

    path: str
    name: str
    folder: bool
    bytes: int


class FolderListing(BaseModel):
    """What lies in a folder of the configured roots."""

    object: Literal["list"] = "list"
    path: str
    parent: str | None
    data: list[FolderEntry]
