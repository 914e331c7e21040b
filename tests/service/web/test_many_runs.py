"""A list of 2,000 runs: only what is in sight is in the page, and all of it is reached by keys."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cosmos_batch.ledger import State
from tests.service.web.conftest import ON_BOTH_SIZES, wait_for
from tests.support.page.many_runs import CLIPS, PROMPTS, Archive, archive_site, score

pytestmark = pytest.mark.browser

RUNS = 2000
MOST_NODES = 3000  # elements of the page, however long the list is
ACTIVE = "document.querySelector('.active')?.dataset.run"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A server with 2,000 runs, which the tests of this module share."""
    with archive_site(tmp_path_factory.mktemp("archive"), RUNS) as found:
        yield found


@pytest.fixture
def open_list(page: Page, archive: Archive) -> Callable[[str], Page]:
    """Open the list of runs with a query, and wait until its runs show."""

    def go(query: str = "") -> Page:
        page.goto(f"{archive.url}/#/runs{query}")
        expect(page.locator("[data-run]").first).to_be_visible()
        expect(page.locator(".counts")).not_to_have_text("loading")
        return page

    return go


OpenList = Callable[[str], Page]


@pytest.mark.parametrize("view", ["", "?view=table", "?view=matrix", "?group=prompt"])
@ON_BOTH_SIZES
def test_only_runs_in_sight_are_in_the_page(open_list: OpenList, view: str) -> None:
    page = open_list(view)
    expect(page.locator(".counts")).to_contain_text("2,000 runs")
    for share in (0, 0.5, 1):
        page.evaluate(f"window.scrollTo(0, document.body.scrollHeight * {share})")
        wait_for(
            page, "[...document.querySelectorAll('[data-run]')].some((run) => run.getBoundingClientRect().top > 0)"
        )
        assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_keys_move_select_rate_and_open(open_list: OpenList, archive: Archive) -> None:
    page = open_list("?sort=created:asc")
    order = archive.ledger.queries.outline(limit=RUNS, newest_first=False)
    ids = [row.id for row in order]

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate(ACTIVE) == ids[1]
    expect(page.get_by_role("grid")).to_have_attribute("aria-activedescendant", f"run-{ids[1]}")
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("3 selected")
    page.keyboard.press("End")
    assert page.evaluate(ACTIVE) == ids[-1]
    expect(page.locator(".active")).to_be_in_viewport()
    with page.expect_response("**/rating"):
        page.keyboard.press("4")
    assert archive.ledger.queries.outline(limit=RUNS, newest_first=False)[-1].rating == 4
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Prompt")
    page.keyboard.press("k")
    wait_for(page, f"location.hash.endsWith('{ids[-2]}')")
    page.keyboard.press("Escape")
    wait_for(page, f"{ACTIVE} === '{ids[-2]}'")
    expect(page.locator(".active")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Selected runs")).to_be_hidden()


def test_quick_look_plays_one_run_after_the_other(open_list: OpenList) -> None:
    page = open_list("?state=succeeded")
    page.keyboard.press("j")
    page.keyboard.press(" ")
    look = page.get_by_role("dialog", name="Quick look")
    wait_for(page, "document.querySelector('.look video')?.currentTime > 0")
    first = look.locator("video").get_attribute("src")
    page.keyboard.press("j")
    wait_for(page, f"document.querySelector('.look video')?.getAttribute('src') !== '{first}'")
    page.keyboard.press("x")
    expect(look).to_contain_text("selected")
    page.keyboard.press(" ")
    expect(look).to_have_count(0)
    expect(page.get_by_role("grid")).to_be_focused()


def test_question_mark_lists_the_keys(open_list: OpenList) -> None:
    page = open_list("")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("quick look")


def test_a_range_is_selected_with_shift_and_rated_at_once(open_list: OpenList, archive: Archive) -> None:
    page = open_list("?view=table&sort=edge_f1:desc&score=edge_f1>0.98")
    boxes = page.get_by_role("checkbox", name="Select: ")
    boxes.nth(1).click()
    boxes.nth(6).click(modifiers=["Shift"])
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("6 selected")
    with page.expect_response("**/bulk"):
        page.get_by_label("Rate", exact=True).select_option("5")
    expect(page.get_by_role("status")).to_contain_text("6 runs rated.")
    expect(page.locator(".table-row .stars-shown")).to_have_count(6)
    best = archive.ledger.queries.outline(limit=8, score="edge_f1")
    assert [row.rating for row in best] == [None, 5, 5, 5, 5, 5, 5, None]


def test_all_are_selected_and_what_can_be_retried_is(open_list: OpenList, archive: Archive) -> None:
    page = open_list("")
    page.get_by_role("button", name="Select all 2,000").click()
    bar = page.get_by_role("region", name="Selected runs")
    expect(bar).to_contain_text("2,000 selected")
    page.get_by_role("button", name="Retry 80").click()
    expect(page.get_by_role("status")).to_contain_text("80 runs queued again.")
    expect(page.locator(".counts")).to_contain_text("80 waiting")
    page.get_by_role("button", name="Cancel 80").click()
    expect(page.get_by_role("status")).to_contain_text("80 runs cancelled.")
    assert archive.ledger.queries.states() == {State.SUCCEEDED: 1920, State.CANCELLED: 80}


def test_groups_are_closed_and_selected_as_a_whole(open_list: OpenList) -> None:
    page = open_list("?group=video")
    fold = page.get_by_role("button", name="clip0.mp4")
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator("[data-run^=clip0-]")).to_have_count(0)
    page.get_by_role("checkbox", name="Select all of clip1.mp4").check()
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("102 selected")


def test_matrix_has_a_row_for_each_video_and_a_column_for_each_prompt(open_list: OpenList) -> None:
    page = open_list("?view=matrix")
    expect(page.locator(".matrix-head [role=columnheader]")).to_have_count(PROMPTS + 1)
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(CLIPS))
    first = page.locator(".run-row").first
    expect(first.get_by_role("rowheader")).to_contain_text("clip0.mp4")
    ids = first.locator("[data-run]").evaluate_all("(runs) => runs.map((run) => run.dataset.run)")
    assert {name.split("-")[0] for name in ids} == {"clip0"}
    assert page.evaluate("document.querySelector('.list-body').offsetHeight") >= CLIPS * 60


def test_a_part_of_the_scores_is_chosen_over_the_bars(open_list: OpenList) -> None:
    page = open_list("?scores=edge_f1")
    bars = page.locator(".score-bars")
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 20, box["y"] + 20)
    page.mouse.up()
    expect(page.get_by_label("Score", exact=True)).to_have_value("edge_f1>=0.4995")
    least = 0.4995
    expected = sum(score(n) >= least for n in range(RUNS) if n % 25 != 24)
    expect(page.locator(".counts")).to_contain_text(f"{expected:,} runs")
    expect(page.locator(".score-bars i.inside")).to_have_count(12)
    page.get_by_label("Least edge_f1").press("Home")
    expect(page.locator(".counts")).to_contain_text("2,000 runs")


@pytest.mark.parametrize("kind", ["csv", "zip"])
def test_the_selection_is_exported(open_list: OpenList, kind: str, tmp_path: Path) -> None:
    page = open_list("?state=succeeded&sort=created:asc")
    page.locator("[data-box]").first.click()
    page.keyboard.press("Shift+ArrowRight")
    with page.expect_download() as event:
        page.get_by_label("Export", exact=True).select_option(kind)
    path = tmp_path / event.value.suggested_filename
    event.value.save_as(path)
    if kind == "zip":
        names = zipfile.ZipFile(path).namelist()
        assert [name.endswith("/output.mp4") for name in names] == [False, False, True, True]
    else:
        assert len(list(csv.DictReader(io.StringIO(path.read_text())))) == 2


def test_ended_runs_are_deleted_at_once(open_list: OpenList, archive: Archive) -> None:
    page = open_list("?q=clip3-p14&state=succeeded")
    found = archive.ledger.queries.count()
    page.get_by_role("button", name="Select all").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No run matches.")).to_be_visible()
    assert archive.ledger.queries.count() < found
