"""A headless Chromium that shows the page of a real server with a simulated engine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.page.site import Site, page_site

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
PATIENCE = 30_000  # ms until what must happen counts as missing
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
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of all page tests."""
    with page_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The server with its archive, and with an empty queue."""
    shared_site.reset()
    return shared_site


@pytest.fixture
def busy_site(site: Site) -> Site:
    """The server with its archive, two running runs, and waiting runs."""
    site.fill_queue(planned=False)
    return site


Visit = Callable[[str], Page]


ON_BOTH_SIZES = pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


@pytest.fixture
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile of a laptop's size, unless the test is parametrised by both sizes."""
    size = getattr(request, "param", DESKTOP)
    opened = browser.new_context(viewport=size, has_touch=size is PHONE)
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; an exception, or a breach of the content policy, fails the test."""
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
def visit(page: Page, shared_site: Site) -> Visit:
    """Open a view of the page: visit("runs")."""

    def go(address: str) -> Page:
        page.goto(f"{shared_site.url}/#/{address}")
        return page

    return go


def wait_for(page: Page, script: str) -> None:
    """Wait until a script gives true. (Playwright's own wait is an eval in the page, which its policy forbids.)"""
    until = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(script):
        assert time.monotonic() < until, f"still not so: {script}"
        page.wait_for_timeout(40)


def _is_ours(text: str, kind: str) -> bool:
    """Whether the page caused a console message. Chromium logs each answer of status 400 and above by itself."""
    return kind in ("error", "warning") and not text.startswith("Failed to load resource")
