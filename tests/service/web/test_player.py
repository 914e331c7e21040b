"""Videos of one run, or of two, play in step: all show the same frame, whatever their frame rates."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.service.web.conftest import ON_BOTH_SIZES, Visit, wait_for
from tests.support.page.numbered_videos import SHOWN
from tests.support.page.site import MADE, Site

pytestmark = pytest.mark.browser

EDGE_ONLY = MADE[12]  # its edge control, and no other


def player(page: Page) -> Page:
    """Wait until the player can be used."""
    expect(page.locator(".player.ready")).to_be_visible(timeout=15_000)
    return page


def scrub(page: Page, frame: int) -> None:
    """Put the scrubber to a frame, as a person does, and wait until the frame shows."""
    page.get_by_label("Frame", exact=True).fill(str(frame))
    expect(page.locator(".transport output")).to_have_text(f"{frame + 1} / 24")


@ON_BOTH_SIZES
@pytest.mark.parametrize("frame", [0, 7, 23])
def test_the_scrubber_puts_every_video_on_the_same_frame(visit: Visit, frame: int) -> None:
    # given an input of 40 frames at 24 per second, and a control and an output of 24 frames at 8
    page = player(visit(f"run/{EDGE_ONLY}"))
    scrub(page, frame)
    assert page.evaluate(SHOWN) == [frame] * 3


@ON_BOTH_SIZES
def test_one_button_plays_and_pauses_all_videos_in_step(visit: Visit) -> None:
    page = player(visit(f"run/{EDGE_ONLY}"))
    page.get_by_role("button", name="Play").click()
    wait_for(page, "document.querySelector('.stage figure.first video').currentTime > 1")
    rates = page.evaluate("[...document.querySelectorAll('.stage video')].map((video) => video.playbackRate)")
    assert rates[1] < 0.6  # the input has three times the output's rate: it plays at about a third
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    shown = page.evaluate(SHOWN)
    assert len(set(shown)) == 1
    assert shown[0] >= 8


def test_the_keyboard_steps_and_plays(visit: Visit) -> None:
    page = player(visit(f"run/{EDGE_ONLY}"))
    page.get_by_label("Frame", exact=True).focus()
    for _ in range(3):
        page.keyboard.press(".")
    page.keyboard.press(",")
    expect(page.locator(".transport output")).to_have_text("3 / 24")
    assert page.evaluate(SHOWN) == [2, 2, 2]


@ON_BOTH_SIZES
def test_two_runs_are_compared_side_by_side_and_under_a_wipe(visit: Visit) -> None:
    # given two results, selected in the list
    page = visit("runs?state=succeeded")
    boxes = page.get_by_role("checkbox", name="Select: ")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("link", name="Compare").click()

    # then their different settings are listed, and nothing else
    expect(page.get_by_role("rowheader")).to_have_text(["prompt", "weight of edge", "weight of depth", "seed"])

    # and both play in step, beside each other or one over the other
    player(page)
    scrub(page, 9)
    assert page.evaluate(SHOWN) == [9, 9]
    page.get_by_text("Wipe", exact=True).click()
    player(page)
    page.get_by_label("Wipe between the two videos").fill("30")
    over = page.locator(".stage.wipe figure:last-child .screen")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 30%)")
    scrub(page, 15)
    assert page.evaluate(SHOWN) == [15, 15]


@ON_BOTH_SIZES
def test_the_output_is_the_largest_and_lies_over_the_input_under_a_wipe(visit: Visit) -> None:
    page = player(visit(f"run/{EDGE_ONLY}"))
    widths = [each.bounding_box() for each in page.locator(".stage figure").all()]
    output, *others = [box["width"] for box in widths if box]
    assert output > 1.8 * max(others)

    # when the key for the wipe is pressed, then output and input share a place, and one edge parts them
    page.keyboard.press("w")
    over, under = page.locator("figure.first .screen"), page.locator("figure.under .screen")
    expect(page.locator("figure.under figcaption")).to_contain_text("Input")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    assert over.bounding_box() == under.bounding_box()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.up()
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 25%)")
    scrub(page, 9)
    assert page.evaluate(SHOWN) == [9, 9, 9]

    # when it is pressed again, then the input is beside the output, and the full screen shows the output alone
    page.keyboard.press("w")
    expect(page.locator("figure.under")).to_have_count(0)
    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".player:fullscreen")).to_be_visible()
    expect(page.locator(".stage figure:visible")).to_have_count(1)


@ON_BOTH_SIZES
def test_a_result_is_rated_and_the_rating_is_removed(visit: Visit, site: Site) -> None:
    page = player(visit(f"run/{MADE[10]}"))
    with page.expect_response("**/rating"):
        page.locator(".stars label").nth(3).click()
    expect(page.locator(".stars label.lit")).to_have_count(4)
    assert site.video(MADE[10])["rating"] == 4
    with page.expect_response("**/rating"):
        page.get_by_role("button", name="clear").click()
    expect(page.locator(".stars label.lit")).to_have_count(0)
    assert site.video(MADE[10])["rating"] is None


@ON_BOTH_SIZES
def test_a_picture_is_shown_and_does_not_play(site: Site, visit: Visit) -> None:
    site.submit("picture", num_frames=1)
    site.wait_state("succeeded", names={"picture"})
    page = player(visit("run/picture"))
    output, control = (page.locator(f".stage figure:nth-child({place}) img") for place in (1, 3))
    for picture in (output, control):
        expect(picture).to_be_visible()
        assert picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0
    expect(page.get_by_role("button", name="Play")).to_have_count(0)
    expect(page.get_by_role("link", name="Download")).to_have_attribute("download", "picture.jpg")


def test_two_pictures_are_compared(site: Site, visit: Visit) -> None:
    for name in ("one", "two"):
        site.submit(name, num_frames=1)
    site.wait_state("succeeded", names={"one", "two"})
    page = player(visit("compare?a=one&b=two"))
    expect(page.locator(".stage img")).to_have_count(2)
    expect(page.get_by_role("button", name="Play")).to_have_count(0)
