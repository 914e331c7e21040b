"""Search and bulk actions in the list of runs, and the figures over all runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from cosmos_batch.cli.render.text import duration
from cosmos_batch.ledger import Ledger
from tests.service.web.conftest import ON_BOTH_SIZES, Visit
from tests.support.page.site import CANCELLED, FAILING, MADE, Site

pytestmark = pytest.mark.browser


@ON_BOTH_SIZES
def test_runs_are_found_by_text_state_and_rating_and_the_address_keeps_it(site: Site, visit: Visit) -> None:
    page = visit("runs?q=rain&state=succeeded&rating=4")
    cards = page.locator("[data-run]")
    expect(cards).to_have_count(len(site.names(q="rain", state="succeeded", rating=4)))
    page.get_by_label("Text").fill("")
    expect(cards).to_have_count(len(site.names(state="succeeded", rating=4)))
    assert "q=rain" not in page.url
    assert "rating=4" in page.url


def test_runs_are_found_and_sorted_by_scores(site: Site, visit: Visit) -> None:
    # given two runs that kept few edges
    ledger = Ledger(site.home.ledger)
    ledger.runs.set_scores({MADE[5]: {"edge_f1": 0.1, "black": 1.0}, MADE[3]: {"edge_f1": 0.2}})
    ledger.close()

    page = visit("runs?sort=edge_f1:asc&score=edge_f1<0.3")
    kept = page.locator(f'[data-run="{MADE[3]}"]')
    expect(kept).to_contain_text("edge_f1 0.20")
    ids = [card.get_attribute("data-run") for card in page.locator("[data-run]").all()]
    assert ids == [MADE[5], MADE[3]]
    expect(page.locator(f'[data-run="{MADE[5]}"]')).to_contain_text("black")
    page.get_by_label("Score").fill("edge_f1>0.15")
    expect(page.locator(f'[data-run="{MADE[5]}"]')).to_have_count(0)
    expect(kept).to_be_visible()


def test_runs_are_found_by_control(site: Site, visit: Visit) -> None:
    page = visit("runs?control=depth")
    expect(page.locator("[data-run]")).to_have_count(len(MADE) // 2)
    options = page.get_by_label("Control").locator("option").all_text_contents()
    assert options[1:] == site.get("/v1/server")["controls"]


def test_runs_are_found_by_date(site: Site, visit: Visit) -> None:
    # given runs of three days
    site.post("/v1/queue/pause")
    noon = datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    days = [noon - timedelta(days=ago) for ago in (2, 3, 4)]
    site.submit_at({f"day-{number}": day.timestamp() for number, day in enumerate(days)})

    # when the list is limited to the middle one, then its run alone shows
    page = visit(f"runs?since={days[1]:%Y-%m-%d}&until={days[1]:%Y-%m-%d}")
    expect(page.locator("[data-run]")).to_have_count(1)
    expect(page.locator('[data-run="day-1"]')).to_be_visible()


def test_several_failures_are_retried_at_once(site: Site, visit: Visit) -> None:
    names = FAILING[1:]
    for name in names:
        site.submit(name)
    site.wait_state("failed", names=set(names))
    site.post("/v1/queue/pause")
    page = visit("runs?state=failed,blocked")
    for name in names:
        page.locator(f'[data-run="{name}"]').get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry 2").click()
    expect(page.get_by_role("status")).to_contain_text("2 runs queued again.")
    assert {site.video(name)["state"] for name in names} == {"queued"}


def test_a_run_is_deleted_only_after_confirmation(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    site.submit("unwanted")
    site.post("/v1/videos/unwanted/cancel")
    page = visit("run/unwanted")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    assert "unwanted" in site.names()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    assert "unwanted" not in site.names()
    assert CANCELLED in site.names()


@ON_BOTH_SIZES
def test_the_figures_show_throughput_saving_and_predictions(site: Site, visit: Visit) -> None:
    # given the server's statistics
    page = visit("figures")
    stats = site.get("/v1/stats", hours=24)

    # then tiles, charts and the tables behind the charts show the same
    expect(page.locator(".tile").nth(0)).to_contain_text(str(stats["succeeded"]))
    saved = duration(stats["saved_seconds"]) if stats["saved_seconds"] > 0 else "0 s"
    expect(page.locator(".tile").nth(1)).to_contain_text(saved)
    expect(page.locator(".tile").nth(2)).to_contain_text(f"{round(100 * stats['prediction_error'])}\u00a0%")
    work = page.locator("figure").filter(has_text="Runs ended")
    expect(work.locator("rect.good")).to_have_count(sum(b["succeeded"] > 0 for b in stats["buckets"]))
    shown = page.locator("figure").filter(has_text="Predicted and taken")
    expect(shown.locator("circle")).to_have_count(len(stats["predictions"]))
    shown.get_by_text("As a table").click()
    first = stats["predictions"][0]
    times = duration(first["predicted_seconds"]) + duration(first["seconds"])
    expect(shown.get_by_role("row").nth(1)).to_have_text(f"batch {first['batch']}{times}")


def test_a_chart_describes_the_bar_under_the_pointer(site: Site, visit: Visit) -> None:
    page = visit("figures")
    sizes = site.get("/v1/stats", hours=24)["batch_sizes"]
    size, batches = list(sizes.items())[-1]
    chart = page.locator("figure").filter(has_text="Batches by size")
    chart.locator(".column").last.hover()
    expect(chart.locator(".readout")).to_have_text(f"batches of {size}: {batches} batches")


def test_the_list_follows_new_runs(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    page = visit("runs")
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    site.submit("newest")
    expect(page.locator("[data-run]").first).to_have_attribute("data-run", "newest")
