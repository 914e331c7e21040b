"""What holds in every view: text is never markup, keys protect the server, and the page is accessible."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.ledger import Ledger
from cosmos_batch.service.api_keys import make_key
from tests.service.web.conftest import ON_BOTH_SIZES, Visit
from tests.support.http_server import server
from tests.support.page.site import ANSI, BLOCKED, FAILING, HTML, MADE, Site

pytestmark = pytest.mark.browser

ADDRESSES = (
    "queue",
    "new",
    "runs",
    "runs?view=table&group=prompt",
    "runs?view=matrix&scores=edge_f1",
    "run/waiting-1",
    "run/running-2",
    f"run/{FAILING[0]}",
    f"run/{BLOCKED}",
    f"run/{MADE[12]}",
    "figures",
    f"compare?a={MADE[10]}&b={MADE[11]}",
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


@pytest.fixture(scope="module", autouse=True)
def standing_site(shared_site: Site) -> Site:
    """The server with its archive and a queue, which these tests leave as it is."""
    shared_site.reset()
    shared_site.fill_queue(preempted=True)
    return shared_site


@ON_BOTH_SIZES
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_view_fits_its_screen_and_names_what_can_be_used(visit: Visit, address: str) -> None:
    page = visit(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(NAMELESS) == []


@ON_BOTH_SIZES
@pytest.mark.parametrize("address", ADDRESSES)
def test_text_stands_out_from_its_ground_by_day_and_by_night(visit: Visit, address: str) -> None:
    page = visit(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_timeout(150)
    assert page.evaluate(CONTRAST) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CONTRAST) == []


def test_html_in_a_prompt_shows_as_text(visit: Visit) -> None:
    page = visit("run/waiting-1")
    expect(page.get_by_role("heading", level=1)).to_have_text(HTML)
    page.goto(page.url.split("#")[0] + "#/runs")
    expect(page.get_by_text("<b>bold</b>").first).to_be_visible()
    assert page.locator("img[src=x], main b b").count() == 0
    assert page.title() != "owned"


def test_escape_sequences_are_visible(visit: Visit) -> None:
    page = visit("run/waiting-2")
    expect(page.get_by_role("heading", level=1)).to_have_text(ANSI.replace("\x1b", "\u241b"))


def test_a_server_with_keys_requires_one_that_no_script_can_read(page: Page, tmp_path: Path) -> None:
    # given a server with an API key
    home = ServiceHome(tmp_path / "home")
    home.make()
    ledger = Ledger(home.ledger)
    key = make_key(ledger, "alice")
    ledger.close()
    with server(home.root) as url:
        page.goto(f"{url}/#/queue")
        dialog = page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key", exact=True).fill("cb_wrong")
        dialog.get_by_role("button", name="Sign in").click()
        expect(dialog.get_by_role("alert")).to_contain_text("does not know this key")

        # when the right one is given
        dialog.get_by_label("Key", exact=True).fill(key)
        dialog.get_by_role("button", name="Sign in").click()

        # then the queue shows, live, and no script can read the key or the session
        expect(page.locator(".lead")).to_be_visible()
        expect(page.get_by_role("img", name="connected, live")).to_be_visible()
        assert page.evaluate("document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })") == "{}"
        page.get_by_role("button", name="Sign out").click()
        expect(dialog).to_be_visible()
        page.goto("about:blank")  # ends its event stream, so that the server stops at once


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


def test_an_unknown_run_shows_the_error_of_the_server(visit: Visit, standing_site: Site) -> None:
    page = visit("run/video_9999")
    error = standing_site.client.get("/v1/videos/video_9999").json()["error"]["message"]
    expect(page.locator(".banner.bad").last).to_have_text(error)
