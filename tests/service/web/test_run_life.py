"""The life of a run on the page: submitted, watched, played, and another one cancelled and retried."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES, Visit, wait_for
from tests.support.page.site import LONG, SLOW, Site

pytestmark = pytest.mark.browser


def submit(page: Page, site: Site, prompt: str, steps: int) -> None:
    """Fill in the form, and submit it."""
    page.get_by_role("link", name="New run").click()
    page.get_by_label("Upload: input videos").set_input_files(site.videos / "street.mp4")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Steps", exact=True).fill(str(steps))
    expect(page.get_by_role("complementary")).to_contain_text("1 video in 1 batch")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(prompt)


@ON_BOTH_SIZES
def test_runs_are_made_played_cancelled_and_retried(site: Site, visit: Visit) -> None:
    # given a submitted run, then its page follows it to the end, and input and output play
    site.set_pace(SLOW)
    page = visit("queue")
    submit(page, site, "a dock in the rain", 10)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".player.ready figcaption")).to_have_text(
        ["Output 320x192", "Input street.mp4", re.compile("edge")]
    )
    page.get_by_role("button", name="Play").click()
    wait_for(page, "document.querySelector('.stage figure.first video').currentTime > 0")

    # when another is cancelled while it runs, then it shows as cancelled, and can be retried, and cancelled again
    submit(page, site, "a dock in the fog", LONG)
    state = page.locator("main .badge").first
    expect(state).to_contain_text("running")
    page.get_by_role("button", name="Cancel").first.click()
    expect(state).to_contain_text("cancelled")
    page.get_by_role("button", name="Retry").click()
    expect(state).to_contain_text(re.compile("waiting|starting|running"))
    page.get_by_role("button", name="Cancel").first.click()
    expect(state).to_contain_text("cancelled")
