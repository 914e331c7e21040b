"""The queue view: live progress, reasons, and the actions on runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import ON_BOTH_SIZES, Visit, wait_for
from tests.support.page.site import BLOCKED, FAILING, RETRIED, Site

pytestmark = pytest.mark.browser

BAR = "document.querySelector('[data-run=running-2] .bar')"


@ON_BOTH_SIZES
def test_groups_show_with_the_reason_of_each_waiting_run(site: Site, visit: Visit) -> None:
    site.fill_queue(preempted=True)
    page = visit("queue")
    planned = site.get("/v1/queue")["groups"]
    groups = page.locator(".group")
    expect(groups).to_have_count(len(planned))
    for group, card in zip(planned, groups.all(), strict=True):
        expect(card).to_contain_text(group["reason"])
        for run in (run for batch in group["batches"] for run in batch["runs"]):
            expect(card.locator(f'[data-run="{run["id"]}"]')).to_contain_text(run["reason"])
    (preempted,) = site.names(state="preempted")
    word = {state["name"]: state["label"] for state in site.get("/v1/server")["states"]}["preempted"]
    expect(page.locator(f'.group [data-run="{preempted}"] .badge')).to_contain_text(word)


def test_groups_of_a_long_queue_are_folded_with_count_and_time(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    for number in range(13):
        site.submit(f"waiting-{number}")
    page = visit("queue")
    group = page.locator("details.group").first
    expect(group.locator("> summary")).to_contain_text(re.compile(r"\d+ runs\s+.*takes"))
    expect(group.locator(".why").first).to_be_hidden()
    group.locator("> summary").click()
    expect(group.locator('[data-run="waiting-0"]')).to_be_visible()


@ON_BOTH_SIZES
def test_a_run_of_a_paused_queue_shows_in_the_plan_with_the_reason_why_it_waits(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    site.submit("late")
    page = visit("queue")
    late = site.video("late")
    row = page.locator(f'.group [data-run="{late["id"]}"]')
    expect(row).to_contain_text(late["reason"])


@ON_BOTH_SIZES
def test_a_run_that_is_retried_later_shows_with_the_reason(site: Site, visit: Visit) -> None:
    page = visit("queue")
    site.submit(RETRIED)
    held = site.wait(lambda: site.get("/v1/queue")["held_back"].get(RETRIED))
    row = page.locator("section").filter(has_text="Retried later").get_by_role("listitem")
    expect(row).to_have_text(re.compile(re.escape(RETRIED) + re.sub(r"\d+", r"\\d+", held)))


@ON_BOTH_SIZES
def test_steps_and_time_left_follow_the_engine(busy_site: Site, visit: Visit) -> None:
    page = visit("queue")
    row = page.locator('[data-run="running-2"]')
    expect(row).to_contain_text(re.compile(r"step \d+ of 1000 · .* left"))
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    bar = row.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuemax", "1000")
    first = int(bar.get_attribute("aria-valuenow") or "0")
    wait_for(page, f"{BAR}.ariaValueNow > {first + 1}")
    later = int(bar.get_attribute("aria-valuenow") or "0")
    assert first + 1 < later <= busy_site.video("running-2")["step"]
    assert page.evaluate(f"{BAR}.closest('li').textContent.includes(`step ${{{BAR}.ariaValueNow}} of 1000`)")


@ON_BOTH_SIZES
@pytest.mark.parametrize("name", ["waiting-1", "running-2"])
def test_a_run_is_cancelled(busy_site: Site, visit: Visit, name: str) -> None:
    page = visit("queue")
    page.locator(f'[data-run="{name}"]').get_by_role("button", name="Cancel").click()
    expect(page.locator(f'[data-run="{name}"]')).to_have_count(0)
    assert busy_site.video(name)["state"] == "cancelled"


@ON_BOTH_SIZES
def test_a_waiting_run_is_made_urgent(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    site.submit("waiting-1")
    page = visit("queue")
    row = page.locator('[data-run="waiting-1"]')
    row.get_by_role("button", name="Make urgent").click()
    expect(row.locator(".priority")).to_have_text("urgent")
    assert site.video("waiting-1")["priority"] == 100


@ON_BOTH_SIZES
def test_a_failure_shows_its_cause_and_is_retried(site: Site, visit: Visit) -> None:
    # given a failed run and a blocked one, and a queue that starts nothing
    site.post("/v1/queue/pause")
    page = visit("queue")
    failed = page.locator(".trouble li").filter(has=page.locator(f'a[href="#/run/{FAILING[0]}"]'))
    blocked = page.locator(".trouble li").filter(has=page.locator(f'a[href="#/run/{BLOCKED}"]'))
    expect(failed).to_contain_text(site.video(FAILING[0])["error"]["message"])
    expect(blocked).to_contain_text(site.video(BLOCKED)["error"]["message"])

    # when the failed one is retried, then it waits again
    failed.get_by_role("button", name="Retry").click()
    expect(failed).to_have_count(0)
    assert site.video(FAILING[0])["state"] == "queued"
    row = page.locator(f'[data-run="{FAILING[0]}"]')
    expect(row).to_contain_text(site.video(FAILING[0])["reason"])
    site.post("/v1/queue/resume")
    site.wait_state("failed", names={FAILING[0]})


@ON_BOTH_SIZES
def test_the_queue_is_paused_resumed_and_drained(site: Site, visit: Visit) -> None:
    page = visit("queue")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#mode")).to_contain_text("paused")
    for number in range(4):
        site.submit(f"waiting-{number}")
    expect(page.locator(".lead")).to_contain_text(
        "It resumes when you say so. The GPU is free; 4 runs waiting, about"
    )
    expect(page.locator(".group").first).to_contain_text("first when you resume")
    expect(page.locator('[data-run="waiting-0"] .why')).to_contain_text("it resumes when you say so; next;")
    expect(page.locator(".banner:visible")).to_have_count(0)
    assert site.get("/healthz")["status"] == "ok"
    assert site.get("/v1/queue")["mode"] == "paused"
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Drain").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(page.locator(".lead")).to_contain_text("Draining")
    assert site.get("/v1/queue")["mode"] == "draining"


def test_focus_stays_on_its_button_when_the_queue_changes(busy_site: Site, visit: Visit) -> None:
    page = visit("queue")
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    cancel = page.locator('[data-run="waiting-3"]').get_by_role("button", name="Cancel")
    cancel.focus()
    busy_site.post("/v1/videos/waiting-1/cancel")
    expect(page.locator('[data-run="waiting-1"]')).to_have_count(0)
    expect(cancel).to_be_focused()


def test_a_closed_batch_stays_closed_when_the_queue_changes(site: Site, visit: Visit) -> None:
    site.fill_queue()
    page = visit("queue")
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    batch = page.locator("details.batch").filter(has=page.locator('[data-run="waiting-2"]'))
    batch.locator("summary").click()
    expect(batch).not_to_have_attribute("open", "")
    site.post("/v1/videos/waiting-2/priority", {"priority": 11})
    expect(batch.locator(".priority")).to_have_attribute("title", "priority 11")
    expect(batch).not_to_have_attribute("open", "")
