"""The documentation site: every page is in its navigation, and it builds without a warning."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs_site import __main__ as builder
from docs_site.pages import ROOT, Stage


def pages(navigation: Any) -> list[str]:
    """The pages of a navigation, in its order."""
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for part in parts for page in pages(part)]


def test_the_navigation_has_every_page_once() -> None:
    project = tomllib.loads(builder.CONFIGURATION.read_text())["project"]
    found = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(pages(project["nav"])) == sorted([*found, "index.md"])


def test_the_site_builds_without_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert builder.main(tmp_path / "site") == 0, capfd.readouterr()
    first = (tmp_path / "site" / "index.html").read_text()
    assert 'href="tutorials/robot-demonstrations.html"' in first
    assert (tmp_path / "site" / "files" / "benchmarks" / "results" / "gpu-h200.html").exists()


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](nowhere.md) and `[b](c.md)` in text\n```\n[d](e.md)\n```\n")
    made = Stage(tmp_path / "stage", tmp_path)
    made.copy(page)
    assert list(map(str, made.broken)) == ["page.md: links to nowhere.md, which does not exist; correct the link"]
