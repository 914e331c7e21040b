"""Drafts of a plan: which runs can be made with fewer passes, and what that costs."""

from __future__ import annotations

import pytest

from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED, PUBLISHED, SETTINGS
from cosmos_batch.engines.inprocess.transfer25.traits import traits_of_model
from cosmos_batch.engines.registry import BuiltInEngines, EngineChoice
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.drafts import Draft, drafts_of
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import resolve
from cosmos_batch.run import Run
from tests.support.runs import MakeRun

COST = PUBLISHED.profile.cost
FACTS = {"/in/a.mp4": VideoInfo(1280, 704, 93, 24.0)}
GENERAL = traits_of_model(SETTINGS, frozenset({"edge", "depth", "seg", "vis"}))
MODELS = BuiltInEngines().preview(EngineChoice(model=PUBLISHED.hub_id)).drafts


def drafts(*runs: Run) -> tuple[Draft, ...]:
    resolved = [resolve(run, GENERAL, FACTS) for run in runs]
    plan = plan_runs(resolved, GENERAL, COST, facts=FACTS)
    return drafts_of(plan, GENERAL, COST, MODELS, FACTS)


def test_edge_video_is_offered_with_the_distilled_model_and_with_fewer_steps(make_run: MakeRun) -> None:
    distilled, fewer = drafts(make_run("edge"))
    assert (distilled.what, distilled.model) == ("4 steps with the distilled edge model", DISTILLED.hub_id)
    assert distilled.seconds == pytest.approx(16.5, rel=0.05)
    assert distilled.in_place_of == pytest.approx(232, rel=0.02)
    assert (fewer.what, fewer.steps, fewer.model) == ("12 steps", 12, None)
    assert fewer.seconds == pytest.approx(fewer.in_place_of / 3, rel=0.05)


def test_drafts_say_how_many_runs_they_are_for(make_run: MakeRun) -> None:
    found = drafts(
        make_run("edge"), make_run("depth"), make_run("edge", num_steps=23), make_run("edge", num_steps=2)
    )
    assert {draft.what: draft.runs for draft in found} == {
        "4 steps with the distilled edge model": 2,
        "12 steps": 2,
    }


def test_a_start_from_the_input_has_no_draft_with_a_model_that_starts_from_noise(make_run: MakeRun) -> None:
    assert [draft.what for draft in drafts(make_run("edge", sigma_max=40.0))] == ["12 steps"]


def test_models_that_are_not_published_have_no_drafts_by_another_one() -> None:
    assert BuiltInEngines().preview(EngineChoice()).drafts == ()  # the pocket model


def test_short_runs_and_the_distilled_model_have_no_drafts(make_run: MakeRun) -> None:
    assert drafts(make_run("edge", num_steps=4)) == ()
    preview = BuiltInEngines().preview(EngineChoice(model=DISTILLED.hub_id))
    plan = plan_runs(
        [resolve(make_run("edge"), preview.traits, FACTS)], preview.traits, preview.prior, facts=FACTS
    )
    assert drafts_of(plan, preview.traits, preview.prior, preview.drafts, FACTS) == ()
