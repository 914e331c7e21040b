"""Finds the videos that a path, a folder or a pattern names, in an order that does not change."""

from __future__ import annotations

import glob
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cosmos_batch.addresses import BUCKETS, is_address, name_of, scheme_of
from cosmos_batch.formats.input_files import PathResolver, exists

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"})
PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Pictures are videos of one frame."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """An input video of a sweep."""

    path: str  # absolute, or as a table gives it
    name: str  # the placeholder {video}
    folder: str  # its folder, relative to that of the pattern


def find_videos(
    paths: PathResolver, text: str, suffixes: Set[str] = VIDEO_SUFFIXES | PICTURE_SUFFIXES
) -> list[VideoFile] | str:
    """The videos of a path, of a folder without its subfolders, or of a pattern; or what is wrong.

    In a pattern `**` stands for any subfolders. A path that is neither a folder nor a pattern is given back,
    whether or not it exists. `suffixes`: of the files of a folder that are taken.
    """
    if "\0" in text or not text:
        return "is no path"
    if is_address(text):
        if text.endswith("/") or (scheme_of(text) in BUCKETS and re.search(r"[*\[]", text)):
            return "names many files by one address, and only files are; list their addresses one by one"
        return [VideoFile(text, PurePosixPath(name_of(text)).stem, ".")]
    whole = Path(paths.resolve(text))
    there = exists(whole)
    if there and whole.is_dir():
        try:
            base, found = whole, [each for each in whole.iterdir() if _is_video(each, suffixes)]
        except OSError as error:
            return f"is a folder that cannot be listed ({error.strerror})"
        if not found:
            return "is a folder without videos"
    elif not there and glob.has_magic(text):
        base = Path(re.split(r"[^/]*[*?\[]", str(whole), maxsplit=1)[0] or "/")
        found = [Path(each) for each in glob.iglob(str(whole), recursive=True)]  # noqa: PTH207 - the pattern is absolute
        found = [each for each in found if each.is_file() and not each.name.startswith(".")]
        if not found:
            return "matches no file"
    else:
        return [VideoFile(str(whole), whole.stem, ".")]
    ordered = sorted(found, key=str)
    return [VideoFile(str(each), each.stem, _folder(each, base)) for each in ordered]


def _is_video(path: Path, suffixes: Set[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()


def _folder(path: Path, base: Path) -> str:
    return str(path.parent.relative_to(base)) if path.is_relative_to(base) else "."
