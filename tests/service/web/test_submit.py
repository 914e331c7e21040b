"""A new run from the form to its video: input, plan, submission, progress, player."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from cosmos_batch.cli.render.text import duration
from cosmos_batch.media.pictures import write_picture
from tests.service.web.conftest import ON_BOTH_SIZES, Visit, wait_for
from tests.support.page.site import MADE, SLOW, Site

pytestmark = pytest.mark.browser


def fill_in(page: Page, video: Path) -> None:
    """Upload a video, write a prompt, and set two controls."""
    page.get_by_label("Upload: input videos").set_input_files(video)
    page.get_by_label("Prompt", exact=True).fill("a quiet harbour at dawn")
    page.get_by_label("weight of edge").fill("0.4")
    page.get_by_label(re.compile("^depth")).fill("0.75")


def test_new_run_on_a_paused_queue_is_promised_no_start(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    plan = page.get_by_role("complementary")
    expect(plan).to_contain_text("later: the queue is paused: it resumes when you say so")
    expect(plan).not_to_contain_text("at once")


@ON_BOTH_SIZES
def test_a_run_is_submitted_watched_and_played(site: Site, visit: Visit) -> None:
    # given a filled-in form, whose plan shows before a run exists
    before = site.names()
    page = visit("new")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/plan") and answer.ok) as planned:
        fill_in(page, site.videos / "street.mp4")
        page.get_by_label("Frames", exact=True).evaluate("(input) => input.closest('details').open = true")
        page.get_by_label("Frames", exact=True).fill("24")
    plan = page.get_by_role("complementary")
    expect(plan).to_contain_text("1 video in 1 batch")
    expect(plan).to_contain_text(re.compile(r"\d s"))
    assert planned.value.json()["runs"] == 1
    assert site.names() == before

    # when it is submitted while the queue is paused, and the queue goes on later
    site.post("/v1/queue/pause")
    site.set_pace(SLOW * 4)
    page.get_by_role("button", name="Queue this run").click()

    # then the server has it with these settings, and its page follows it to the end
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    (name,) = site.names() - before
    made = site.video(name)
    assert made["inputs"]["video"].startswith("file-")
    assert made["execution_config"]["weights"] == {"depth": 0.75, "edge": 0.4}
    expect(page.locator(".view-run")).to_contain_text(made["reason"])
    site.post("/v1/queue/resume")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("[123]"))
    expect(bar).to_have_attribute("aria-valuemax", "4")
    expect(page.locator(".view-run")).to_contain_text(re.compile(r"step \d of 4 · .* left"))
    expect(page.locator(".player.ready figcaption")).to_have_text(
        [f"Output {made['size']}", "Input street.mp4", "depth weight 0.75", "edge weight 0.4"]
    )
    assert site.video(name)["state"] == "succeeded"
    page.get_by_role("button", name="Play").click()
    wait_for(page, "document.querySelector('.stage figure.first video').currentTime > 0.5")


def test_the_plan_shows_the_time_that_the_server_predicts(site: Site, visit: Visit) -> None:
    page = visit("new")
    plan = page.get_by_role("complementary")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/plan") and answer.ok) as planned:
        fill_in(page, site.videos / "street.mp4")
    expect(plan.locator(".big-number")).to_contain_text(duration(planned.value.json()["seconds"]))


def test_the_plan_shows_the_warnings_before_a_run_exists(site: Site, visit: Visit) -> None:
    before = site.names()
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    page.get_by_text("from the input video").last.evaluate("(summary) => summary.parentElement.open = true")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/plan") and answer.ok) as planned:
        page.get_by_label("Upload: control video for depth").set_input_files(site.videos / "short.mp4")

    speed, length = planned.value.json()["warnings"][::-1]
    assert (speed["field"], length["field"]) == ("inputs.video", "inputs.depth")
    shown = page.get_by_role("note")
    expect(shown).to_contain_text("2 warnings")
    expect(shown).to_contain_text(speed["message"])
    expect(shown).to_contain_text("24 of 40 frames of the input video are not used")
    expect(shown).to_contain_text(length["remedy"])
    assert site.names() == before


def test_a_run_is_guided_by_labels(site: Site, visit: Visit, tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((24, 4, 6), np.uint8))
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    page.get_by_text("Guided generation", exact=True).click()
    page.get_by_label("Upload: mask of guided generation").set_input_files(tmp_path / "labels.npz")
    page.get_by_text("Guided by labels.npz").wait_for()
    page.get_by_label("Last guided step").fill("9")
    with page.expect_request(lambda asked: "foreground_labels" in (asked.post_data or "")) as planned:
        page.get_by_label("Foreground labels").fill("3, 5")
    (body,) = planned.value.post_data_json["runs"]
    assert body["inputs"]["guided_generation_mask"].startswith("file-")
    assert body["execution_config"]["guided_generation_step_threshold"] == 9
    assert body["execution_config"]["guided_generation_foreground_labels"] == [3, 5]


def test_another_run_of_an_uploaded_picture_shows_the_picture(site: Site, visit: Visit, tmp_path: Path) -> None:
    # given a run of an uploaded picture, with an uploaded control video
    site.post("/v1/queue/pause")
    before = site.names()
    write_picture(tmp_path / "dock.png", np.full((24, 40, 3), (200, 60, 30), np.uint8))
    page = visit("new")
    fill_in(page, tmp_path / "dock.png")
    page.get_by_label("Frames", exact=True).evaluate("(input) => input.closest('details').open = true")
    page.get_by_label("Frames", exact=True).fill("1")
    page.get_by_text("from the input video").last.evaluate("(summary) => summary.parentElement.open = true")
    page.get_by_label("Upload: control video for depth").set_input_files(site.videos / "short.mp4")
    page.get_by_text("short.mp4").first.wait_for()
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    (name,) = site.names() - before

    # when another is made of it
    page = visit(f"new?from={name}")

    # then the form shows the picture as one, the control video as a video, both by their names
    row = page.locator(".files li", has_text="dock.png")
    expect(row).to_contain_text("40×24 · picture")
    expect(row.locator("video")).to_have_count(0)
    wait_for(page, "document.querySelector('.files li img')?.naturalWidth === 40")
    control = page.locator(".files li", has_text="short.mp4")
    expect(control.locator("video")).to_have_count(1)

    # and the new run is of the same files
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    (again,) = site.names() - before - {name}
    assert site.video(again)["inputs"] == site.video(name)["inputs"]


def test_the_page_of_a_run_shows_its_warnings(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    site.submit("slow-motion", fps=8)
    (warning,) = site.video("slow-motion")["warnings"]
    shown = visit("run/slow-motion").get_by_role("note")
    expect(shown).to_contain_text("1 warning")
    expect(shown).to_contain_text("it plays 3 times as slowly")
    expect(shown).to_contain_text(warning["remedy"])


def test_each_of_several_videos_makes_a_run_planned_with_the_others(site: Site, visit: Visit) -> None:
    site.post("/v1/queue/pause")
    page = visit("new")
    page.get_by_role("button", name="Pick on the server").click()
    page.get_by_role("button", name=f"{site.videos.name}/").click()
    page.get_by_label("street.mp4").check()
    page.get_by_label("<i>dock.mp4").check()
    page.get_by_role("button", name="Use these 2").click()
    page.get_by_label("Prompt", exact=True).fill("fog")

    expect(page.get_by_role("complementary")).to_contain_text("2 videos in 1 batch")
    speed = "inputs.video has 24 frames per second and the output gets 8"
    for number in (1, 2):
        expect(page.get_by_role("note")).to_contain_text(f"Run {number}: {speed}")
    page.get_by_role("button", name="Queue 2 runs").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
    inputs = {Path(site.video(name)["inputs"]["video"]).name for name in site.names(state="queued")}
    assert inputs == {"street.mp4", "<i>dock.mp4"}


def test_a_refusal_shows_every_problem_and_a_second_try_makes_one_run(site: Site, visit: Visit) -> None:
    # given a form whose resolution the server refuses
    site.post("/v1/queue/pause")
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    page.get_by_text("More settings").click()
    page.get_by_label("Resolution").fill("999p")

    # when it is submitted, corrected, and submitted again
    with page.expect_response(lambda answer: answer.url.endswith("/v1/videos") and not answer.ok) as refused:
        page.get_by_role("button", name="Queue this run").click()
    (problem,) = refused.value.json()["error"]["problems"]
    alert = page.locator(".problems[role=alert]")
    expect(alert).to_contain_text(problem["field"])
    expect(alert).to_contain_text(problem["message"])
    expect(alert).to_contain_text(problem["remedy"])
    page.get_by_label("Resolution").fill("192")
    page.get_by_role("button", name="Queue this run").click()

    # then there is one run
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    assert len(site.names(state="queued")) == 1


def test_a_repeated_submission_after_a_lost_answer_makes_one_run(site: Site, visit: Visit) -> None:
    # given a connection that loses the answer of the first submission
    site.post("/v1/queue/pause")
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    lost: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or lost:
            return route.continue_()
        lost.append(route.fetch().text())
        return route.abort()

    page.route("**/v1/videos", lose)
    page.get_by_role("button", name="Queue this run").click()
    expect(page.locator(".problems")).to_contain_text("The server does not answer.")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    assert len(site.names(state="queued")) == 1


def test_a_new_run_starts_from_the_settings_of_another(site: Site, visit: Visit) -> None:
    page = visit(f"run/{MADE[10]}")
    page.get_by_role("link", name="Make another").click()
    config = site.video(MADE[10])["execution_config"]
    expect(page.get_by_label("Seed")).to_have_value(str(config["seed"]))
    expect(page.get_by_label("weight of edge")).to_have_value(str(config["weights"]["edge"]))
    expect(page.locator(".files")).to_contain_text(["street.mp4"])


def test_a_form_without_a_video_says_what_is_missing(site: Site, visit: Visit) -> None:
    before = site.names()
    page = visit("new")
    page.get_by_label("Prompt", exact=True).fill("fog")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_text("Choose an input video first.")).to_be_visible()
    assert site.names() == before


@pytest.mark.parametrize(("choice", "setting"), [("as the input", True), ("as the model does", None)])
def test_size_of_the_output_can_be_chosen(site: Site, visit: Visit, choice: str, setting: bool | None) -> None:
    site.post("/v1/queue/pause")
    before = site.names()
    page = visit("new")
    fill_in(page, site.videos / "street.mp4")
    size = page.get_by_label("Output size")
    size.evaluate("(input) => input.closest('details').open = true")
    size.select_option(choice)
    page.get_by_label("Resolution").fill("96x48")
    page.get_by_role("button", name="Queue this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a quiet harbour at dawn")
    (name,) = site.names() - before
    made = site.video(name)
    assert made["execution_config"].get("keep_input_resolution") is setting
    assert (made["size"] == "96x48") is (setting is None)


def test_picture_is_shown_where_it_is_chosen_and_planned_at_both_sizes(site: Site, visit: Visit) -> None:
    picture = site.home.root / "still.png"
    write_picture(picture, np.full((90, 150, 3), 90, np.uint8))
    page = visit("new")
    fill_in(page, picture)
    row = page.locator(".files li").first
    expect(row.locator("img")).to_be_visible()
    expect(row).to_contain_text("150×90 · picture")
    page.get_by_label("Output size").evaluate("(input) => input.closest('details').open = true")
    page.get_by_label("Output size").select_option("as the input")
    page.get_by_role("complementary").get_by_text("Planned batches").click()
    expect(page.get_by_role("complementary")).to_contain_text("1 frame, kept as 150×90")
