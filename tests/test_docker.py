"""The Docker image's files: what the build copies is there, and .dockerignore lets it through."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copied() -> set[str]:
    """Sources of COPY that come from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    return {source for line in lines for source in line.split()}


def test_the_build_gets_what_it_copies() -> None:
    patterns = (ROOT / ".dockerignore").read_text().split()
    kept = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    assert patterns[0] == "*"
    assert copied() == kept
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_the_build_gets_all_that_the_wheel_names() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = re.search(r"license-files = \[(.+)\]", project)
    assert named is not None
    files = {"README.md", *re.findall(r'"(.+?)"', named[1])}
    assert all(any(fnmatch(name, source) for source in copied()) for name in files)
