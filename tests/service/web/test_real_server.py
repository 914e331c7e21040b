"""The page before a real server with a worker: submit, watch, play, cancel, retry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES, wait_for
from tests.support.dispatch_world import make_input
from tests.support.http_server import server

pytestmark = pytest.mark.browser

LONG = 1000  # denoising steps of a run that is cancelled: it would not end by itself in time


def ask(page: Page, clip: Path, prompt: str, steps: int) -> None:
    """Fill in the form, and submit."""
    page.get_by_role("link", name="New run").click()
    page.get_by_label("Upload: input videos").set_input_files(clip)
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Steps", exact=True).fill(str(steps))
    expect(page.get_by_role("complementary")).to_contain_text("1 video in 1 batch")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(prompt)


@ON_BOTH_SIZES
def test_runs_are_made_played_cancelled_and_tried_again(page: Page, tmp_path: Path) -> None:
    clip = make_input(tmp_path / "dock.mp4")
    options = ("--flush-seconds", "0.1", "--max-failures", "1")
    with server(tmp_path / "home", *options, REPLAY_STEP="0.05") as address:
        # given a run that was submitted, then it is watched to its end, and input and output play
        page.goto(f"{address}/#/queue")
        ask(page, clip, "a dock in the rain", 20)
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.locator(".player.ready figcaption")).to_have_text([re.compile("Input"), "Output 32x32"])
        page.get_by_role("button", name="Play").click()
        wait_for(page, "document.querySelector('.stage figure:last-child video').currentTime > 0")

        # when another is cancelled while it runs, then it says so, and it can be tried again, and cancelled again
        ask(page, clip, "a dock that nobody needs", LONG)
        state = page.locator("main .badge").first
        expect(state).to_contain_text("running")
        page.get_by_role("button", name="Cancel").first.click()
        expect(state).to_contain_text("cancelled")
        page.get_by_role("button", name="Retry").click()
        expect(state).to_contain_text(re.compile("waiting|starting|running"))
        page.get_by_role("button", name="Cancel").first.click()
        expect(state).to_contain_text("cancelled")
        page.goto("about:blank")  # ends its events, so that the server stops at once
