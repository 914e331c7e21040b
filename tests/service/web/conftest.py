"""A headless Chromium before the page, with the stand-in server behind it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.service.web import canned
from tests.service.web.fake import Fake, Served
from tests.service.web.films import numbered, still

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
PATIENCE = 30_000  # ms until what should happen has not happened: a busy machine is no failure
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """The browser to test with: $CHROMIUM, else the one on the path."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("these tests need Chromium: apt-get install chromium, or name one in $CHROMIUM", pytrace=False)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The input is longer and faster than what was made of its first 24 frames."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "run.json").write_text("{}")
    return {
        "input": numbered(folder / "input.mp4", frames=40, fps=24, colour=(90, 120, 150)),
        "control_edge": numbered(folder / "edge.mp4", frames=24, fps=8, colour=(60, 60, 60)),
        "video": numbered(folder / "output.mp4", frames=24, fps=8, colour=(190, 120, 80)),
        "thumbnail": still(folder / "thumbnail.png", colour=(190, 120, 80)),
        "run": folder / "run.json",
    }


@pytest.fixture
def fake(films: dict[str, Path]) -> Iterator[Fake]:
    """The stand-in server, knowing of runs in every state."""
    known = Fake(films)
    known.add(*canned.everything())
    with Served(known) as served:
        yield served


Visit = Callable[[str], Page]


ON_BOTH_SIZES = pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


@pytest.fixture
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile, of a laptop's size unless the test asks for both."""
    size = getattr(request, "param", DESKTOP)
    opened = browser.new_context(viewport=size, has_touch=size is PHONE)
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; whatever it complains of by itself (an exception, a breach of the content policy) fails the test."""
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "console",
        lambda message: complaints.append(message.text) if _is_ours(message.text, message.type) else None,
    )
    yield tab
    assert complaints == []


@pytest.fixture
def visit(page: Page, fake: Fake) -> Visit:
    """Open a view of the page: visit("runs")."""

    def go(place: str) -> Page:
        page.goto(f"{fake.url}/#/{place}")
        return page

    return go


def wait_for(page: Page, script: str) -> None:
    """Wait until a script gives true. (Playwright's own wait is an eval in the page, which its policy forbids.)"""
    until = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(script):
        assert time.monotonic() < until, f"still not so: {script}"
        page.wait_for_timeout(40)


def _is_ours(text: str, kind: str) -> bool:
    """Chromium itself logs each answer of status 400 and above; that is the server's doing."""
    return kind in ("error", "warning") and not text.startswith("Failed to load resource")
