"""Ids of runs: those that are reserved, and a valid id in place of one that is not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from hashlib import blake2b
from itertools import count

LONGEST_ID = 128  # characters

# Names of files beside the folders of the runs, in casefolded form: file systems may ignore case.
RESERVED_IDS = frozenset({"manifest.jsonl", "contact_sheet.png"})


def valid_id(text: str) -> str:
    """The nearest valid id: accents left out, other characters that an id may not have as "-".

    Equal texts give equal ids. A text of which nothing remains gives its digest.
    """
    plain = unicodedata.normalize("NFKD", text[: 4 * LONGEST_ID]).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip(".-").rstrip("-")
    if not re.search(r"[A-Za-z0-9]", plain):
        return f"run-{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
    if plain.casefold() in RESERVED_IDS:
        return f"run-{plain}"
    return plain if len(plain) <= LONGEST_ID else _cut(plain, text)


def free_id(text: str, taken: Container[str], start: int = 2) -> tuple[str, int]:
    """A valid id with a number that is not taken, and the number; `taken` holds casefolded ids."""
    stem = valid_id(text)
    for number in count(start):
        ending = f"-{number}"
        if (free := stem[: LONGEST_ID - len(ending)] + ending).casefold() not in taken:
            return free, number
    raise AssertionError("there is always a free number")


def _cut(plain: str, text: str) -> str:
    """A long id, cut, with a digest so that ids of equal beginnings stay apart."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain[: LONGEST_ID - len(digest) - 1]}-{digest}"
