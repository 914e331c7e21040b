"""What holds in every view: nobody's text is obeyed, keys are asked for, and everyone can use it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.service.web import canned
from tests.service.web.conftest import ON_BOTH_SIZES, Visit
from tests.service.web.fake import Fake

pytestmark = pytest.mark.browser

PLACES = (
    "queue",
    "new",
    "runs",
    "run/video_0003",
    "run/video_0007",
    "run/video_0012",
    "figures",
    "compare?a=video_0010&b=video_0011",
)

NAMELESS = """() => [...document.querySelectorAll('main :is(button, a, input, select, textarea), nav a')]
  .filter((node) => node.offsetParent && !node.ariaLabel && !node.labels?.length && !node.textContent.trim())
  .map((node) => node.outerHTML)"""

CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const own = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const faint = (node) => {
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  };
  return [...document.querySelectorAll('main *')].filter((node) => node.offsetParent && own(node))
    .filter((node) => !node.closest('option, [aria-hidden], [aria-disabled], :disabled, .stars, .screen'))
    .filter(faint)
    .map((node) => node.className + ': ' + node.textContent.slice(0, 40));
}"""


@ON_BOTH_SIZES
@pytest.mark.parametrize("place", PLACES)
def test_every_view_fits_its_screen_and_names_what_can_be_used(visit: Visit, place: str) -> None:
    page = visit(place)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(NAMELESS) == []


@ON_BOTH_SIZES
@pytest.mark.parametrize("place", PLACES)
def test_text_stands_out_from_its_ground_by_day_and_by_night(visit: Visit, place: str) -> None:
    page = visit(place)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_timeout(150)
    assert page.evaluate(CONTRAST) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CONTRAST) == []


def test_html_in_a_prompt_is_shown_and_never_obeyed(visit: Visit) -> None:
    page = visit("run/video_0003")
    expect(page.get_by_role("heading", level=1)).to_have_text(canned.HTML)
    page.goto(page.url.split("#")[0] + "#/runs")
    expect(page.get_by_text("<b>bold</b>").first).to_be_visible()
    assert page.locator("img[src=x], main b b").count() == 0
    assert page.title() != "owned"


def test_escape_sequences_are_made_visible(visit: Visit) -> None:
    page = visit("run/video_0005")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "\u241b[31mred alert\u241b[0m: a forklift in a warehouse, rain on the skylights"
    )


def test_a_server_with_keys_asks_for_one_and_keeps_it_out_of_reach_of_scripts(visit: Visit, fake: Fake) -> None:
    # given a server that wants a key
    fake.key = "cb_right"
    page = visit("queue")
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key", exact=True).fill("cb_wrong")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not know this key")

    # when the right one is given
    dialog.get_by_label("Key", exact=True).fill("cb_right")
    dialog.get_by_role("button", name="Sign in").click()

    # then the queue shows, live, and no script can read the key or the session
    expect(page.locator(".group")).to_have_count(2)
    expect(page.get_by_role("img", name="connected, live")).to_be_visible()
    assert page.evaluate("document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })") == "{}"
    page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()


def test_all_views_are_reached_by_keyboard(visit: Visit) -> None:
    page = visit("queue")
    expect(page.locator(".group").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for name in ("cosmos-batch", "Queue", "New run", "Runs"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_a_run_that_is_not_there_is_said_to_be_missing(visit: Visit) -> None:
    page = visit("run/video_9999")
    expect(page.locator(".banner.bad").last).to_have_text("there is no run 'video_9999' here")
