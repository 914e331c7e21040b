"""A person makes a video: chooses, sees what it will cost, asks for it, watches it come, and plays it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES, Visit, wait_for
from tests.service.web.fake import Fake

pytestmark = pytest.mark.browser


def fill_in(page: Page, fake: Fake) -> None:
    """An uploaded video, a prompt, two controls."""
    page.get_by_label("Upload: input videos").set_input_files(fake.films["input"])
    page.get_by_label("Prompt", exact=True).fill("a quiet harbour at dawn")
    page.get_by_label("weight of edge").fill("0.4")
    page.get_by_label(re.compile("^depth")).fill("0.75")


@ON_BOTH_SIZES
def test_a_run_is_submitted_watched_and_played(fake: Fake, visit: Visit) -> None:
    # given a form that was filled in, and whose plan was shown before anything was asked for
    page = visit("new")
    fill_in(page, fake)
    plan = page.get_by_role("complementary")
    expect(plan).to_contain_text("1 video in 1 batch")
    expect(plan).to_contain_text("48 s, give or take 8 %")
    assert fake.submitted == {}

    # when it is submitted
    page.get_by_role("button", name="Queue this run").click()

    # then the server has it as it was asked for, and its page follows it to the end
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    (made,) = fake.submitted.values()
    assert made["inputs"] == {"video": "file-1"}
    assert made["execution_config"]["weights"] == {"depth": 0.75, "edge": 0.4}
    expect(page.locator(".view-run")).to_contain_text("waits for the batch before it")
    fake.move(made["id"], "running", step=1)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "1")
    fake.step(made["id"], 20)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "20")
    expect(page.locator(".view-run")).to_contain_text("step 20 of 35 · 23 s left")
    fake.move(made["id"], "succeeded")
    expect(page.locator(".player.ready figcaption")).to_have_text(
        [re.compile("Input"), "edge weight 0.4", "Output 320x192"]
    )
    page.get_by_role("button", name="Play").click()
    wait_for(page, "document.querySelector('.stage figure:last-child video').currentTime > 0.5")


def test_each_of_several_videos_makes_a_run_planned_with_the_others(fake: Fake, visit: Visit) -> None:
    page = visit("new")
    page.get_by_role("button", name="Pick on the server").click()
    page.get_by_role("button", name="/data/videos/").click()
    page.get_by_label("street.mp4").check()
    page.get_by_label("<i>dock</i>.mp4").check()
    page.get_by_role("button", name="Use these 2").click()
    page.get_by_label("Prompt", exact=True).fill("fog")

    expect(page.get_by_role("complementary")).to_contain_text("2 videos in 1 batch")
    page.get_by_role("button", name="Queue 2 runs").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
    asked = [made["inputs"]["video"] for made in fake.submitted.values()]
    assert asked == ["/data/videos/street.mp4", "/data/videos/<i>dock</i>.mp4"]


def test_what_the_server_refuses_is_said_and_a_second_try_makes_one_run(fake: Fake, visit: Visit) -> None:
    # given a server that refuses the first try
    problem = {
        "line": None,
        "field": "execution_config.seed",
        "found": "-1",
        "message": "is negative",
        "remedy": "give 0 or more",
    }
    fake.refusal = problem
    page = visit("new")
    fill_in(page, fake)

    # when the person tries, reads why not, and tries again
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("alert").filter(has_text="execution_config.seed")).to_contain_text("give 0 or more")
    page.get_by_role("button", name="Queue this run").click()

    # then there is one run
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    assert len(fake.submitted) == 1


def test_another_run_starts_from_what_one_was_asked_for(visit: Visit) -> None:
    page = visit("run/video_0010")
    page.get_by_role("link", name="Make another").click()
    expect(page.get_by_label("Seed")).to_have_value("52")
    expect(page.get_by_label("weight of edge")).to_have_value("0.3")
    expect(page.locator(".files")).to_contain_text(["street.mp4"])


def test_a_form_without_a_video_says_what_is_missing(fake: Fake, visit: Visit) -> None:
    page = visit("new")
    page.get_by_label("Prompt", exact=True).fill("fog")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_text("Choose an input video first.")).to_be_visible()
    assert fake.submitted == {}
