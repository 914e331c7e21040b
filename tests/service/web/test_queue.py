"""The queue as people see it: live, with reasons, and within their reach."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import ON_BOTH_SIZES, Visit
from tests.service.web.fake import Fake

pytestmark = pytest.mark.browser


@ON_BOTH_SIZES
def test_groups_show_as_the_planner_sees_them_with_why_each_run_waits(visit: Visit) -> None:
    page = visit("queue")
    groups = page.locator(".group")
    expect(groups).to_have_count(2)
    expect(groups.nth(0)).to_contain_text("3 runs with edge alone share one batch: the first has waited longest")
    expect(groups.nth(0)).to_contain_text("waits for company: at most 20 s more")
    expect(groups.nth(1)).to_contain_text("set aside: set aside at step 14 for an urgent run")


@ON_BOTH_SIZES
def test_a_run_that_came_after_the_plan_shows_with_why_it_waits(fake: Fake, visit: Visit) -> None:
    fake.unplanned.add("video_0005")
    page = visit("queue")
    card = page.locator(".group").filter(has_text="Not planned yet")
    expect(card.locator("[data-run]")).to_have_count(1)
    expect(card).to_contain_text("depth is the next group")


@ON_BOTH_SIZES
def test_a_run_that_is_held_back_shows_with_the_reason(fake: Fake, visit: Visit) -> None:
    fake.unplanned.add("video_0006")
    page = visit("queue")
    held = page.locator("section").filter(has_text="Held back for now")
    expect(held.get_by_role("listitem")).to_have_text(["video_0006its folder is gone"])


@ON_BOTH_SIZES
def test_steps_and_time_left_move_as_the_engine_does(fake: Fake, visit: Visit) -> None:
    page = visit("queue")
    row = page.locator('[data-run="video_0002"]')
    expect(row).to_contain_text("step 9 of 35")
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    fake.step("video_0002", 10)
    expect(row).to_contain_text("step 10 of 35 · 38 s left")
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "10")


@ON_BOTH_SIZES
@pytest.mark.parametrize("name", ["video_0003", "video_0002"], ids=["waiting", "running"])
def test_a_run_is_cancelled(fake: Fake, visit: Visit, name: str) -> None:
    page = visit("queue")
    page.locator(f'[data-run="{name}"]').get_by_role("button", name="Cancel").click()
    expect(page.locator(f'[data-run="{name}"]')).to_have_count(0)
    assert fake.videos[name]["state"] == "cancelled"


@ON_BOTH_SIZES
def test_a_waiting_run_is_made_urgent(fake: Fake, visit: Visit) -> None:
    page = visit("queue")
    row = page.locator('[data-run="video_0003"]')
    row.get_by_role("button", name="Make urgent").click()
    expect(row.locator(".priority")).to_have_text("urgent")
    assert fake.videos["video_0003"]["priority"] == 100


@ON_BOTH_SIZES
def test_a_failure_shows_its_cause_and_is_retried(fake: Fake, visit: Visit) -> None:
    # given a failed run, and a blocked one
    page = visit("queue")
    failed = page.get_by_role("listitem").filter(has_text="out of memory: 8 runs of 1280x720")
    expect(page.get_by_text("the guardrail refused the prompt: it names a person")).to_be_visible()

    # when it is retried, then it waits again
    failed.get_by_role("button", name="Retry").click()
    expect(failed).to_have_count(0)
    expect(page.locator('[data-run="video_0007"]')).to_contain_text("queued again")
    assert fake.videos["video_0007"]["state"] == "queued"


@ON_BOTH_SIZES
def test_the_queue_is_paused_resumed_and_drained(fake: Fake, visit: Visit) -> None:
    page = visit("queue")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".lead")).to_contain_text("The GPU is free; 4 runs waiting")
    expect(page.locator("#mode")).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Drain").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(page.locator(".lead")).to_contain_text("Draining")
    assert fake.mode == "draining"


def test_focus_stays_on_its_button_when_the_queue_changes_under_it(fake: Fake, visit: Visit) -> None:
    page = visit("queue")
    cancel = page.locator('[data-run="video_0004"]').get_by_role("button", name="Cancel")
    cancel.focus()
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    fake.move("video_0003", "succeeded")
    expect(page.locator('[data-run="video_0003"]')).to_have_count(0)
    expect(cancel).to_be_focused()
