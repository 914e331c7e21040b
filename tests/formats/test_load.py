"""Bad input: each kind with the field, the value and the remedy that it is reported by."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.formats import read_files
from tests.support.format_files import Write, lines_and_fields, minimal


def config(**changes: Any) -> dict[str, Any]:
    """A minimal run with another execution_config."""
    return minimal(execution_config={"weights": {"edge": 0.5}, **changes})


def weight(value: object) -> dict[str, Any]:
    """A minimal run with another weight."""
    return minimal(execution_config={"weights": {"edge": value}})


E, W = "execution_config", "execution_config.weights"

BAD_RECORDS = [
    # Weights: real numbers from 0 to 1, and nothing that only looks like one.
    (weight(-1), f"{W}.edge", "-1", "is too small; give a number from 0 to 1"),
    (weight(10), f"{W}.edge", "10", "is too large; give a number from 0 to 1"),
    (weight("0.5"), f"{W}.edge", '"0.5"', "is not a number; give a number from 0 to 1, without quotes"),
    (weight(True), f"{W}.edge", "true", "is not a number"),
    (weight(None), f"{W}.edge", "null", "is not a number"),
    (weight(math.nan), f"{W}.edge", "NaN", "is not a finite number"),
    (weight(math.inf), f"{W}.edge", "Infinity", "is not a finite number"),
    # Controls.
    (weight(0), W, "", "has no active control; give at least one of depth, edge, seg, vis a weight above 0"),
    (minimal(execution_config={}), W, "", "has no active control"),
    (minimal(execution_config=None), W, "", "has no active control"),
    (minimal(execution_config={"weights": {"egde": 1}}), f"{W}.egde", "", "did you mean 'edge'?"),
    (minimal(execution_config={"weights": {"Edge": 1}}), f"{W}.Edge", "", "did you mean 'edge'?"),
    (minimal(execution_config={"weights": {"fog": 1}}), f"{W}.fog", "", "remove it; known here: edge, vis, d"),
    (minimal(execution_config={"weights": {"hdmap": 1}}), "inputs.hdmap", "", "is missing; give a control video"),
    (minimal(inputs={}), "inputs.video", "", "give the input video, which edge is to be made from"),
    (minimal(inputs={"video": "street.mp4", "normals": "n.mp4"}), "inputs.normals", "", "is not a known key"),
    (
        minimal(execution_config={"weights": {"upscale": 1}}),
        f"{W}.upscale",
        "",
        'set job_type to "upscale", or the weight to 0',
    ),
    (minimal(job_type="upscale"), W, "", "mixes upscaling with other controls"),
    # Settings.
    (config(num_steps=0), f"{E}.num_steps", "0", "give a whole number from 1 to 1000"),
    (config(num_steps=1.5), f"{E}.num_steps", "1.5", "is not a whole number"),
    (config(num_steps="35"), f"{E}.num_steps", '"35"', "without quotes"),
    (config(seed=-1), f"{E}.seed", "-1", "give a whole number from 0 below 9223372036854775808"),
    (config(seed=10**80), f"{E}.seed", "a number of 81 digits", "is too large"),
    (config(fps=0), f"{E}.fps", "0", "give a number from 0.001 to 1000"),
    (config(resolution=720), f"{E}.resolution", "720", "give a height such as '720' or '480p'"),
    (config(blur_strength="lo"), f"{E}.blur_strength", '"lo"', "did you mean 'low'? give one of very_low"),
    (config(nmu_steps=3), f"{E}.nmu_steps", "3", "did you mean 'num_steps'?"),
    (minimal(seed=3), "seed", "3", "put it into execution_config"),
    (minimal(priority="soon"), "priority", '"soon"', "give a whole number, or low, normal, high or urgent"),
    (minimal(priority=1.5), "priority", "1.5", "give a whole number, or low, normal, high or urgent"),
    (
        minimal(job_type="train"),
        "job_type",
        '"train"',
        "give one of inference, batch_inference, upscale, distilled",
    ),
    (
        config(negative_prompt="a") | {"negative_prompt": "b"},
        "negative_prompt",
        '"b"',
        "is given twice, differently",
    ),
    (minimal(inputs=["street.mp4"]), "inputs", "a list of 1", "is not an object"),
    # Prompts.
    (minimal(prompt=None), "prompt", "", "is missing; say what the video is to show"),
    (minimal(prompt=""), "prompt", '""', "give text of 1 to 100,000 characters"),
    (minimal(prompt=" \n"), "prompt", "", "is empty"),
    (minimal(prompt=7), "prompt", "7", "is not text"),
    (minimal(prompt="x" * 1_000_000), "prompt", '"' + "x" * 58 + "…", "is 1,000,000 characters long"),
    (minimal(prompt="half \ud83d"), "prompt", '"half \\ud83d"', "holds a lone surrogate"),
    # Ids become folder names.
    (minimal(id="../escape"), "id", '"../escape"', "give 1 to 128 letters, digits, '.', '_' or '-'"),
    (minimal(id="a/b"), "id", '"a/b"', "is not of the expected form"),
    (minimal(id="a\n"), "id", '"a\\n"', "is not of the expected form"),
    (minimal(id=""), "id", '""', "is not of the expected form"),
    (minimal(id="x" * 129), "id", '"' + "x" * 58 + "…", "is not of the expected form"),
    (minimal(id=17), "id", "17", "is not text"),
    (minimal(id="manifest.jsonl"), "id", '"manifest.jsonl"', "is reserved"),
    (minimal(id="Contact_Sheet.png"), "id", '"Contact_Sheet.png"', "is reserved"),
    # Input files.
    (minimal(inputs={"video": "absent.mp4"}), "inputs.video", '"absent.mp4"', "does not exist"),
    (minimal(inputs={"video": "elsewhere"}), "inputs.video", '"elsewhere"', "is a folder, not a file"),
    (minimal(inputs={"video": "empty.mp4"}), "inputs.video", '"empty.mp4"', "is an empty file"),
    (minimal(inputs={"video": "/dev/null"}), "inputs.video", '"/dev/null"', "is not a regular file"),
    (minimal(inputs={"video": "x" * 300}), "inputs.video", '"' + "x" * 58 + "…", "cannot be looked at"),
    (minimal(inputs={"video": "a\0b"}), "inputs.video", '"a\\u0000b"', "is not of the expected form; give a path"),
    (minimal(inputs={"video": ""}), "inputs.video", '""', "is empty; give a path"),
]


@pytest.mark.parametrize(("record", "field", "found", "words"), BAD_RECORDS)
def test_bad_record_is_a_problem(write: Write, record: Any, field: str, found: str, words: str) -> None:
    write("empty.mp4", "")
    path = write("runs.jsonl", [minimal(id="good"), record])

    reading = read_files([path])

    assert [run.id for run in reading.runs] == ["good"]
    (problem,) = reading.problems
    assert (problem.file, problem.line, problem.field, problem.found) == (str(path), 2, field, found)
    assert words in f"{problem.message}; {problem.remedy}"


GOOD = json.dumps(minimal())

BAD_FILES = [
    # name, good runs, content, line, words of the message
    ("empty.jsonl", 0, "", None, "is empty"),
    ("blank.json", 0, " \n\n", None, "is empty"),
    ("none.json", 0, "[]", None, "holds no runs"),
    ("none.json", 0, '{"runs": []}', None, "holds no runs"),
    ("text.json", 0, '"a run"', None, "is not a run"),
    ("cut.json", 0, json.dumps(minimal(), indent=1)[:-40], None, "is not JSON: "),
    ("cut.json", 0, '{\n "id": "a",\n "prompt": }', None, "expecting value at line 3, column 12"),
    ("cut.json", 0, f'{{"runs": [\n{GOOD},\n{GOOD}\n', None, "expecting ',' delimiter at line 4, column 1"),
    ("cut.jsonl", 1, f'{GOOD}\n{{"id": "a", "pro\n', 2, "at column 13; mend the JSON there"),
    ("first.jsonl", 1, f'{{"id": "a",\n{GOOD}\n', 1, "is not JSON"),
    ("first.txt", 1, f'{{"id": "a", x}}\n{GOOD}\n', 1, "is not JSON"),
    ("latin.jsonl", 1, GOOD.encode() + b'\n{"id": "caf\xe9"}\n', 2, "is not UTF-8 (byte 12 is 0xe9)"),
    ("wide.json", 0, GOOD.encode("utf-16"), None, "is UTF-16 text; save it as UTF-8"),
    ("clip.mp4", 0, b"\0\0\0\x18ftypmp42", None, "is not a text file"),
    ("twice.jsonl", 1, f'{GOOD}\n{{"id": "a", "id": "b"}}', 2, 'gives the key "id" more than once'),
    ("twice.json", 0, '{"inputs": {"video": "a", "video": "b"}}', None, 'gives the key "video" more than once'),
    ("deep.jsonl", 1, f"{GOOD}\n{'[' * 100_000}\n", 2, "is nested too deeply"),
    ("digits.jsonl", 1, f'{GOOD}\n{{"priority": {"9" * 5000}}}\n', 2, "holds a number with too many digits"),
    ("list.jsonl", 1, f"{GOOD}\n[1, 2]\n", 2, "is not an object"),
    ("list.json", 1, f"[{GOOD}, 3]", None, "[1] = 3: is not an object"),
    ("runs.json", 0, f'{{"runs": {GOOD}}}', None, "runs = {"),
    ("runs.json", 1, f'{{"runs": [{GOOD}], "seed": 3}}', None, "seed = 3: is not a known key"),
    ("runs.yaml", 0, "# night\nid: a\nprompt: the street\n", None, "looks like YAML; convert it to JSON"),
    ("runs.yml", 0, "- id: a\n  prompt: the street\n", None, "looks like YAML"),
]


@pytest.mark.parametrize(("name", "good", "content", "line", "words"), BAD_FILES)
def test_bad_file_is_a_problem(
    write: Write, name: str, good: int, content: Any, line: int | None, words: str
) -> None:
    reading = read_files([write(name, content)], check_inputs=False)

    (problem,) = reading.problems
    assert problem.line == line
    assert words in str(problem)
    assert len(reading.runs) == good


def test_missing_file_and_folder_are_problems(tmp_path: Path, write: Write) -> None:
    reading = read_files([tmp_path / "absent.json", tmp_path, write("runs.jsonl", [minimal()])])

    assert [problem.message for problem in reading.problems] == [
        "cannot be read: No such file or directory",
        "cannot be read: Is a directory",
    ]
    assert len(reading.runs) == 1


def test_spec_beside_a_missing_file_is_a_run(write: Write, tmp_path: Path) -> None:
    spec = {"prompt": "night", "input_video_path": "street.mp4", "edge": {"control_weight": 1}}

    reading = read_files([tmp_path / "absent.jsonl", "a\0b", write("night.json", spec)])

    assert [run.id for run in reading.runs] == ["night"]
    assert ["cannot be read" in problem.message for problem in reading.problems] == [True, True]


def test_pipe_is_read_like_a_file() -> None:
    receiver, sender = os.pipe()
    os.write(sender, f"{GOOD}\n{GOOD}\n".encode())
    os.close(sender)

    reading = read_files([f"/dev/fd/{receiver}"], check_inputs=False)

    os.close(receiver)
    assert len(reading.runs) == 2


def test_all_problems_of_all_files_are_reported_at_once(write: Write) -> None:
    one = write("one.jsonl", [{"id": "a b", "promt": "x"}, minimal(id="good"), weight(3) | {"prompt": None}])
    two = write("two.json", {"runs": [minimal(id="fine"), minimal(inputs={"video": "absent.mp4"}, seed=1)]})

    reading = read_files([one, two])

    assert [run.id for run in reading.runs] == ["good", "fine"]
    assert lines_and_fields(reading.problems) == [
        (1, "id"),
        (1, "promt"),
        (1, "prompt"),
        (1, W),
        (3, f"{W}.edge"),
        (3, "prompt"),
        (None, "runs[1].seed"),
        (None, "runs[1].inputs.video"),
    ]


def test_ids_equal_but_for_case_are_refused_with_both_locations(write: Write) -> None:
    one = write("one.jsonl", [minimal(id="snow"), minimal(id="rain")])
    two = write("two.json", [minimal(id="Snow")])

    reading = read_files([one, two])

    assert [run.id for run in reading.runs] == ["snow", "rain"]
    (problem,) = reading.problems
    assert (problem.file, problem.field, problem.found) == (str(two), "id", '"Snow"')
    assert problem.message == f"is already the id of {one}:1"


def test_file_named_twice_is_read_once(write: Write) -> None:
    path = write("one.jsonl", [minimal()])

    reading = read_files([path, str(path)])

    assert (len(reading.runs), [problem.message for problem in reading.problems]) == (1, ["is named twice"])


def test_control_characters_of_values_are_escaped(write: Write) -> None:
    nasty = "\x1b[31mred\x1b[0m\u202e"
    record = {"id": nasty, "prompt": nasty, nasty: nasty, "inputs": {"video": nasty}}

    problems = read_files([write(f"{nasty}.json", record)]).problems

    assert len(problems) == 4
    assert all(str(problem).isprintable() for problem in problems)


def test_emoji_quotes_and_colons_in_a_prompt_are_kept(write: Write) -> None:
    prompt = 'the "street": night 🌃 : 80s, key "id": x'
    text = json.dumps(minimal(prompt=prompt), ensure_ascii=False)

    # More lines than are held for finding the format, so that the short way of reading is taken too.
    runs = read_files([write("runs.jsonl", f"{text}\n" * 70)]).runs

    assert [run.prompt for run in runs] == [prompt] * 70


@pytest.mark.parametrize("lines", [3, 300])
def test_bad_line_is_found_in_short_and_long_files(write: Write, lines: int) -> None:
    content = f"{GOOD}\n" * (lines - 1) + GOOD.replace('"prompt"', '"prompt": "first", "prompt"') + "\n"

    reading = read_files([write("runs.jsonl", content)])

    assert len(reading.runs) == lines - 1
    assert lines_and_fields(reading.problems) == [(lines, "")]


@pytest.mark.parametrize(
    ("record", "video", "control_video"),
    [
        (minimal(), "inputs.video", "inputs.vis"),
        ({"name": "a", "prompt": "x", "video_path": "street.mp4", "vis": {}}, "video_path", "vis.control_path"),
        (
            {"name": "a", "prompt": "x", "vision_path": "street.mp4", "blur": {}},
            "vision_path",
            "blur.control_path",  # its name of vis
        ),
        ({"prompt": "x", "input_video_path": "street.mp4", "vis": {}}, "input_video_path", "vis.input_control"),
    ],
)
def test_field_names_are_those_of_the_format(
    write: Write, record: dict[str, Any], video: str, control_video: str
) -> None:
    loaded = read_files([write("runs.json", record)])

    names = loaded.field_names_of(loaded.runs[0])
    assert (names.video, names.video_of("vis")) == (video, control_video)
