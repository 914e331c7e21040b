"""Finding runs again, putting many right at once, and the figures over all of them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.service.web import canned
from tests.service.web.conftest import ON_BOTH_SIZES, Visit
from tests.service.web.fake import Fake

pytestmark = pytest.mark.browser


@ON_BOTH_SIZES
def test_runs_are_found_by_text_state_and_rating_and_the_address_keeps_it(fake: Fake, visit: Visit) -> None:
    page = visit("runs?q=rain&state=succeeded&rating=4")
    found = {v["id"] for v in fake.videos.values() if "rain" in v["prompt"].lower() and v["rating"] == 4}
    cards = page.locator("[data-run]")
    expect(cards).to_have_count(len(found))
    page.get_by_label("Text").fill("")
    expect(cards).to_have_count(6)
    assert "q=rain" not in page.url
    assert "rating=4" in page.url


def test_runs_are_found_by_date(fake: Fake, visit: Visit) -> None:
    # given runs of three days
    fake.videos.clear()
    noon = datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    days = [noon - timedelta(days=ago) for ago in (2, 3, 4)]
    fake.add(*(canned.video(n, "succeeded", created_at=int(day.timestamp())) for n, day in enumerate(days)))

    # when the middle one is asked for, then its run alone shows
    page = visit(f"runs?since={days[1]:%Y-%m-%d}&until={days[1]:%Y-%m-%d}")
    expect(page.locator("[data-run]")).to_have_count(1)
    expect(page.locator('[data-run="video_0001"]')).to_be_visible()


def test_a_long_list_comes_in_parts(visit: Visit) -> None:
    page = visit("runs")
    expect(page.locator("[data-run]")).to_have_count(24)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("[data-run]")).to_have_count(39)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_several_failures_are_retried_at_once(fake: Fake, visit: Visit) -> None:
    fake.add(*(canned.video(n, "failed", **canned.error("failed", "disk full")) for n in (50, 51)))
    page = visit("runs?state=failed,blocked")
    for name in ("video_0050", "video_0051"):
        page.locator(f'[data-run="{name}"]').get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry 2").click()
    expect(page.get_by_role("status")).to_contain_text("2 runs queued again.")
    assert {fake.videos[name]["state"] for name in ("video_0050", "video_0051")} == {"queued"}


def test_a_run_is_deleted_only_once_that_is_confirmed(fake: Fake, visit: Visit) -> None:
    page = visit("run/video_0009")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    assert "video_0009" in fake.videos
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    assert "video_0009" not in fake.videos


@ON_BOTH_SIZES
def test_the_figures_tell_work_saving_and_predictions(visit: Visit) -> None:
    # given the server's statistics
    page = visit("figures")
    stats = canned.stats(24)

    # then tiles, charts and the tables behind the charts tell the same
    expect(page.locator(".tile").nth(0)).to_contain_text(str(stats["succeeded"]))
    expect(page.locator(".tile").nth(1)).to_contain_text("1 h 4 min")
    expect(page.locator(".tile").nth(2)).to_contain_text("8 %")
    work = page.locator("figure").filter(has_text="Runs ended")
    expect(work.locator("rect.good")).to_have_count(sum(b["succeeded"] > 0 for b in stats["buckets"]))
    told = page.locator("figure").filter(has_text="Predicted and taken")
    expect(told.locator("circle")).to_have_count(36)
    told.get_by_text("As a table").click()
    expect(told.get_by_role("row").nth(1)).to_have_text("batch 09.0 s7.7 s")


def test_a_chart_tells_what_is_under_the_pointer(visit: Visit) -> None:
    page = visit("figures")
    sizes = page.locator("figure").filter(has_text="Batches by size")
    sizes.locator(".column").nth(2).hover()
    expect(sizes.locator(".readout")).to_have_text("batches of 4: 14 batches")


def test_the_list_follows_what_happens(fake: Fake, visit: Visit) -> None:
    page = visit("runs")
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    fake.add(canned.video(77, "queued", created_at=int(time.time()) + 5))
    fake.tell(
        "video.state", video="video_0077", state="queued", status="queued", reason="submitted", at=time.time()
    )
    expect(page.locator("[data-run]").first).to_have_attribute("data-run", "video_0077")
