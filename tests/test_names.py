"""Names and words of the whole project: one public name for one class, and plain words."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROSE = [
    *SOURCES,
    *sorted((ROOT / "src").rglob("*.js")),
    *sorted((ROOT / "training").rglob("*.py")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "README.md",
]
PLAIN = {  # words that say less than the object would, and what to write
    r"nobody|somebody|whoever|whom|everybody": "the noun: a run, a worker, a client",
    r"aboard|in the air": "running",
    r"bury|buried|burying|mourn": "requeue, record a crash",
    r"told|heed(ed|s)?|wish(es|ed)?": "call, notify, request",
    r"comes of|goes by|by and by|others are at": "what is meant",
}
KEYS_ON_DISK = ('found["aboard"]',)  # written by earlier versions


def test_a_public_class_name_exists_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("pattern", PLAIN)
def test_words_are_plain(pattern: str) -> None:
    word = re.compile(rf"\b({pattern})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in PROSE
        if not {"vendor", "versions"} & set(path.parts)  # code of others; migrations name what was
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if word.search(line) and not any(key in line for key in KEYS_ON_DISK)
    ]
    assert found == [], f"write {PLAIN[pattern]}"


def test_no_test_module_imports_another() -> None:
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for match in re.finditer(r"^from (tests\.\S*\btest_\w+) import", path.read_text(), re.M):
            found.append(f"{path.relative_to(ROOT)}: {match.group(1)}")
    assert found == []
