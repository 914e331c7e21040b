"""The API's documentation: all of it, without the internet, and without scripts of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES
from tests.support.http_server import server

pytestmark = pytest.mark.browser


@ON_BOTH_SIZES
def test_every_request_is_described_by_what_the_server_itself_sends(page: Page, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with server(tmp_path / "home") as address:
        page.goto(f"{address}/docs")
        expect(page.get_by_role("heading", level=1)).to_contain_text("the API")
        paths = page.evaluate("fetch('/openapi.json').then((r) => r.json()).then((d) => Object.keys(d.paths))")
        for path in paths:
            assert page.locator("summary code", has_text=path).count() > 0, path
        page.locator("summary", has_text="Ask for a video").click()
        expect(page.locator("details[open] th", has_text="prompt").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert {url for url in asked if not url.startswith(address)} == set()
