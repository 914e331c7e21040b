"""Which clips and instructions files name, and their problems."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cosmos_batch.errors import InputError
from cosmos_batch.prompting.prompt_request import Instruction, given_instructions, read_request
from tests.support.clips import clip
from tests.support.run_files import write_runs


def write(path: Path, **fields: object) -> Path:
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips in a folder below, and a file that is no video."""
    below = tmp_path / "clips"
    below.mkdir()
    for name in ("b.mp4", "a.mp4", "c.MKV"):
        clip(tmp_path / "clip.mp4", frames=1).rename(below / name)
    (below / "notes.txt").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("videos", "names"),
    [
        ("clips/a.mp4", ["a.mp4"]),
        ("clips/*.mp4", ["a.mp4", "b.mp4"]),
        ("**/*.MKV", ["c.MKV"]),
        ("clips", ["a.mp4", "b.mp4", "c.MKV"]),
        (["clips/b.mp4", "clips"], ["b.mp4", "a.mp4", "c.MKV"]),
    ],
)
def test_paths_patterns_and_folders_start_from_the_files_folder(
    folder: Path, videos: object, names: list[str]
) -> None:
    request, problems = read_request([write(folder / "p.json", videos=videos)])
    assert problems == []
    assert request.videos == tuple(str(folder / "clips" / name) for name in names)


def test_instructions_in_a_list_are_named_by_their_words(folder: Path) -> None:
    texts = ["Heavy rain, wet road!", "heavy rain: wet road", "雪", "caption"]
    request, problems = read_request([write(folder / "p.json", videos="clips", instructions=texts)])
    assert problems == []
    names = ["heavy_rain_wet_road", "heavy_rain_wet_road_2", "instruction", "caption_2"]
    assert [each.name for each in request.instructions] == names
    assert [each.text for each in request.instructions] == texts


def test_runs_name_their_clips_once(tmp_path: Path) -> None:
    clip(tmp_path / "in.mp4")
    request, problems = read_request([write_runs(tmp_path / "runs.jsonl", ["a", "b"])])
    assert problems == []
    assert request.videos == (str(tmp_path / "in.mp4"),)
    assert request.instructions == ()
    assert str(request.locations[request.videos[0]]) == f"{tmp_path / 'runs.jsonl'}:1"


@pytest.mark.parametrize("pattern", ["a" * 5000, "a" * 300 + "/*.mp4", "~absent-user/*.mp4", "**a/[", ""])
def test_pattern_that_matches_nothing_is_a_problem_of_its_own(pattern: str, folder: Path) -> None:
    request, problems = read_request([write(folder / "p.json", videos=[pattern, "clips"])])
    assert [problem.message for problem in problems] == ["matches no video file"]
    assert len(request.videos) == 3


def test_all_problems_of_all_files_are_found_at_once(folder: Path) -> None:
    first = write(folder / "p.json", videos=["no/*.mp4", "clips"], instructions={"a b": "x", "caption": "y"})
    second = write(folder / "q.json", videos="clips", frames=0, style="yaml", instruction=[])
    third = write_runs(folder / "runs.jsonl", ["a"])
    _, problems = read_request([first, second, third, folder / "absent.json"])
    text = "\n".join(map(str, problems))
    assert f'{first}: videos = "no/*.mp4": matches no video file; correct it or supply the files' in text
    assert "a b" in text
    assert f'{first}: instructions = "caption": is the name of another prompt' in text
    assert f"{second}: frames = 0: is too small" in text
    assert f'{second}: style = "yaml": is not a known value' in text
    assert f"{second}: instruction" in text
    assert f"{third}:1" in text
    assert "absent.json" in text


def test_file_without_a_clip_is_a_problem(tmp_path: Path) -> None:
    _, problems = read_request([write(tmp_path / "p.json", videos=[])])
    assert [problem.message for problem in problems] == ["there is no clip in the files"]


def test_instructions_of_the_command_line_have_names() -> None:
    assert given_instructions(["rain=heavy rain = wet", "At night"]) == [
        Instruction("rain", "heavy rain = wet"),
        Instruction("at_night", "At night"),
    ]


@pytest.mark.parametrize("text", ["", "=x", "rain=", "a b=x"])
def test_bad_instruction_of_the_command_line_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give NAME=TEXT"):
        given_instructions([text])


def test_names_of_file_and_command_line_may_not_be_equal() -> None:
    with pytest.raises(InputError, match='"Rain": is the name of another prompt'):
        given_instructions(["Rain=x"], [Instruction("rain", "y")])


def test_example_names_18_instructions(folder: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "driving_prompts.json"
    request, problems = read_request([Path(shutil.copy(example, folder))])
    assert problems == []
    assert len(request.instructions) == 18
    assert len(request.videos) == 3
