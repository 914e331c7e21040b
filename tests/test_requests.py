"""Files of the command line to runs: what gives way to the chosen model, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.engines.inprocess.transfer25.published import DISTILLED_SETTINGS
from cosmos_batch.engines.inprocess.transfer25.traits import traits_of_model
from cosmos_batch.engines.registry import traits_of
from cosmos_batch.requests import gather
from tests.support.clips import clip

POCKET = traits_of("pocket")
DISTILLED = traits_of_model(DISTILLED_SETTINGS, frozenset({"edge"}))


def samples(folder: Path, **fields: Any) -> list[Path]:
    """A file of each of NVIDIA's formats, with two runs where it can have them."""
    video = str(clip(folder / "in.mp4"))
    made = {
        "transfer25.jsonl": [
            {"name": name, "prompt": "x", "video_path": video, "edge": {}} | fields for name in ("a", "b")
        ],
        "cosmos3.jsonl": [
            {"name": name, "prompt": "x", "vision_path": video, "edge": {}} | fields for name in ("c", "d")
        ],
    }
    if not fields:
        made["transfer1.json"] = [{"prompt": "x", "input_video_path": video, "edge": {}}]
    for name, lines in made.items():
        (folder / name).write_text("\n".join(map(json.dumps, lines)))
    return [folder / name for name in made]


def test_default_resolution_of_a_format_gives_way_to_the_models(tmp_path: Path) -> None:
    requests = gather(samples(tmp_path), POCKET)

    assert requests.problems == ()
    assert {run.sampling.resolution for run in requests.resolved(POCKET)} == {"160x96"}
    notices = {Path(each.file).name: str(each) for each in requests.warnings if each.field == "resolution"}
    assert sorted(notices) == ["cosmos3.jsonl", "transfer1.json", "transfer25.jsonl"]
    assert "is left out (and in 1 more of this file): the model's own, 96, is used" in notices["cosmos3.jsonl"]
    assert "in place of Transfer2.5's 720; choose a model of 720 with --model" in notices["transfer25.jsonl"]


def test_strict_makes_it_a_problem_of_these_runs(tmp_path: Path) -> None:
    requests = gather(samples(tmp_path), POCKET, strict=True)
    assert requests.runs == ()
    assert [problem.level for problem in requests.problems if problem.field == "resolution"] == ["problem"] * 3


@pytest.mark.parametrize("engine", ["transfer", "transfer25"])
def test_model_of_that_resolution_says_nothing(tmp_path: Path, engine: str) -> None:
    files = samples(tmp_path)[:2]
    assert [each for each in gather(files, traits_of(engine)).warnings if each.field == "resolution"] == []


def test_resolution_that_the_model_lacks_names_the_option(tmp_path: Path) -> None:
    files = samples(tmp_path, resolution="480")

    requests = gather(files[:1], POCKET)

    assert requests.runs == ()
    assert len(requests.problems) == 2
    for problem in requests.problems:
        assert "resolution '480': not known to this model, which takes 96, WIDTHxHEIGHT" in str(problem)
        assert "or a model that has it with --model" in str(problem)


def test_settings_that_a_format_fills_in_give_way_to_the_distilled_models(tmp_path: Path) -> None:
    requests = gather(samples(tmp_path), DISTILLED)

    assert requests.problems == ()
    assert {each.field for each in requests.warnings}.isdisjoint({"num_steps", "guidance", "negative_prompt"})
    for run in requests.resolved(DISTILLED):
        settings = run.sampling
        assert (settings.num_steps, settings.guidance, settings.negative_prompt) == (4, 0.0, "")


def test_settings_that_a_spec_states_are_judged_by_its_names(tmp_path: Path) -> None:
    transfer25, _ = samples(tmp_path, num_steps=2, guidance=3, negative_prompt="dark")
    taken = gather([transfer25], DISTILLED)
    assert {run.sampling.num_steps for run in taken.resolved(DISTILLED)} == {2}
    assert [(each.field, each.found) for each in taken.warnings][:2] == [
        ("guidance", "3.0"),
        ("negative_prompt", '"dark"'),
    ]

    refused = gather(samples(tmp_path, num_steps=35), DISTILLED)
    assert refused.runs == ()
    assert len(refused.problems) == 4
    assert all("num_steps = 35: the distilled model takes 1 to 4" in str(problem) for problem in refused.problems)
