"""The API's documentation is complete, and loads nothing from other servers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES
from tests.support.page.site import Site

pytestmark = pytest.mark.browser


@ON_BOTH_SIZES
def test_every_request_is_described_from_what_the_server_itself_sends(page: Page, shared_site: Site) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{shared_site.url}/docs")
    expect(page.get_by_role("heading", level=1)).to_contain_text("the API")
    paths = shared_site.get("/openapi.json")["paths"]
    for path in paths:
        assert page.locator("summary code", has_text=path).count() > 0, path
    page.locator("summary", has_text=paths["/v1/videos"]["post"]["description"].splitlines()[0]).click()
    expect(page.locator("details[open] th", has_text="prompt").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert {url for url in urls if not url.startswith(shared_site.url)} == set()
