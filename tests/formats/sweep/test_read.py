"""Sweeps: what varies, the ids and prompts of the runs, and the problems of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.formats import LoadedRuns, read_files
from cosmos_batch.run import Annotations
from tests.support.format_files import Write

CLIPS = ("clips/a.mp4", "clips/b.mp4")
HEAD = "sweep: weather\nvideos: clips/*.mp4\ncontrols: {edge: 0.5}\n"


HUNDRED = list(range(1, 101))
MULTIPLIED = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)
"""Lists of ten of the list before."""


@pytest.fixture(autouse=True)
def clips(write: Write) -> None:
    for name in CLIPS:
        write(name, b"video")


def ids(reading: LoadedRuns) -> list[str]:
    assert [str(problem) for problem in reading.problems] == []
    return [run.id for run in reading.runs]


def problems(reading: LoadedRuns) -> list[tuple[int | None, str, str]]:
    return [(problem.line, problem.field, problem.message) for problem in reading.problems]


def test_a_sweep_is_the_product_of_what_it_lists(write: Write) -> None:
    text = HEAD + "prompts: {rain: 'rain on {video}', snow: snow}\nseeds: [1, {from: 5, count: 1}]\n"

    reading = read_files([write("s.yaml", text)])

    expected = [f"{v}__{p}__s{s}" for v in "ab" for p in ("rain", "snow") for s in (1, 5)]
    assert ids(reading) == expected
    assert reading.runs[4].prompt == "rain on b"
    assert reading.runs[4].video is not None
    assert reading.runs[4].video.endswith("clips/b.mp4")
    assert reading.runs[4].annotations == Annotations(sweep="weather")


def test_json_is_read_as_yaml_is(write: Write) -> None:
    value = {"videos": "clips", "prompts": ["rain"], "controls": {"edge": 0.5}}

    reading = read_files([write("nightly.json", value)])

    assert ids(reading) == ["a__rain", "b__rain"]
    assert reading.runs[0].annotations == Annotations(sweep="nightly")
    # keys that runs have, too, do not make it a run
    reading = read_files([write("named.json", value | {"id": "{video}", "tags": {"of": "{video}"}})])
    assert ids(reading) == ["a", "b"]


def test_json_with_an_id_pattern_is_a_sweep_and_a_run_with_a_stray_key_is_none(write: Write) -> None:
    value = {
        "id": "{prompt_name}",
        "videos": ["clips/a.mp4"],
        "prompts": {"rain": "rain"},
        "controls": {"edge": 1},
    }
    assert ids(read_files([write("nightly.json", value)])) == ["rain"]
    run = {"id": "r", "prompt": "rain", "inputs": {"video": "clips/a.mp4"}, "seeds": [1]}
    (found,) = [p for p in read_files([write("run.json", run)]).problems if p.field == "seeds"]
    assert found.message == "is not a known key"


def test_a_sweep_that_grows_keeps_the_ids_that_it_had(write: Write) -> None:
    before = ids(read_files([write("s.yaml", HEAD + "prompts: [rain at dusk]\nseeds: [1]\n")]))
    grown = "prompts: [first snow of the year, rain at dusk]\nseeds: [7, 1]\n"

    after = ids(read_files([write("s.yaml", HEAD + grown)]))

    assert set(before) < set(after)
    assert len(after) == 8


def test_lists_are_zipped(write: Write) -> None:
    text = HEAD + "prompts: [rain, snow]\nseeds: [1, 2]\ncombine: {zip: [videos, prompts]}\n"

    assert ids(read_files([write("s.yaml", text)])) == ["a__rain__s1", "a__rain__s2", "b__snow__s1", "b__snow__s2"]


def test_rules_include_and_exclude(write: Write) -> None:
    text = HEAD + (
        "prompts: [rain, snow]\nseeds: [1, 2]\ninclude: {seed: 1}\nexclude: [{video: 'b*', prompt_name: [snow]}]\n"
    )

    assert ids(read_files([write("s.yaml", text)])) == ["a__rain__s1", "a__snow__s1", "b__rain__s1"]


def test_control_sets_and_settings_vary(write: Write) -> None:
    text = (
        "videos: clips/a.mp4\nprompts: rain\ncontrols: [{edge: [0.3, 1]}, {vis: 0.5, edge: 0}]\n"
        "settings: {num_steps: [4, 8], resolution: 256}\nid: '{controls}__{num_steps}'\n"
    )

    reading = read_files([write("s.yaml", text)])

    sets = ("edge0.3", "edge1", "vis0.5_edge0")
    assert ids(reading) == [f"{name}__{steps}" for name in sets for steps in (4, 8)]
    assert {run.sampling.resolution for run in reading.runs} == {"256"}
    assert reading.runs[-1].signature == ("vis",)


def test_control_videos_have_placeholders(write: Write) -> None:
    write("edges/a.mp4", b"video")
    text = "videos: clips/*.mp4\nprompts: rain\ncontrols: {edge: {weight: 1, video: 'edges/{video}.mp4'}}\n"

    reading = read_files([write("s.yaml", text)])

    assert problems(reading) == [(3, "controls.edge.video", "does not exist")]
    assert [run.id for run in reading.runs] == ["a"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_rows_of_a_table_set_fields_and_are_placeholders(write: Write, tmp_path: Path, suffix: str) -> None:
    rows = [["clip", "caption", "seed", "city"], ["clips/a.mp4", "rain, at last", "3", "Ulm"]]
    table(tmp_path / f"t.{suffix}", rows)
    text = (
        f"rows: {{file: t.{suffix}, columns: {{video: clip, prompt: caption}}}}\n"
        "controls: {edge: 1}\nid: '{city}-{video}-{seed}'\ntags: {city: '{city}'}\n"
    )

    (run,) = read_files([write("s.yaml", text)]).runs

    assert (run.id, run.prompt, run.sampling.seed) == ("Ulm-a-3", "rain, at last", 3)
    assert run.annotations == Annotations(sweep="s", tags={"city": "Ulm"})


def table(path: Path, rows: list[list[str]]) -> None:
    """Write rows, the first of which names the columns."""
    names, *others = rows
    match path.suffix:
        case ".parquet":
            from pyarrow import table as arrow_table
            from pyarrow.parquet import write_table

            write_table(arrow_table({name: [row[i] for row in others] for i, name in enumerate(names)}), path)
        case ".jsonl":
            import json

            path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in others))
        case suffix:
            mark = "," if suffix == ".csv" else "\t"
            quoted = [mark.join(f'"{cell}"' for cell in row) for row in rows]
            path.write_text("\n".join(quoted) + "\n")


def test_prompts_and_videos_are_read_from_files(write: Write) -> None:
    write("prompts.txt", "# weather\nrain\n\nsnow\n")
    write("clips.csv", "path,name\nclips/a.mp4,first\n")
    text = (
        "videos: {file: clips.csv, column: path, name: name}\nprompts: {file: prompts.txt}\ncontrols: {edge: 1}\n"
    )

    assert ids(read_files([write("s.yaml", text)])) == ["first__rain", "first__snow"]


def test_all_problems_are_reported_with_their_lines(write: Write) -> None:
    text = (
        "videos: [clips/*.mp4, 'no/*.mp4', gone.mp4]\npromts: x\nprompts: ['{vido}', 5]\nseeds: [1, -2]\n"
        "controls: {edge: 5, vsi: 0.3}\nsettings: {num_steps: 0}\ninclude: {sed: 1}\ncombine: zap\n"
        "tags: {a b: x}\n"
    )

    found = problems(read_files([write("s.yaml", text)]))

    assert sorted(found, key=lambda each: (each[0] or 0, each[1])) == [
        (1, "videos[1]", "matches no file"),
        (1, "videos[2]", "does not exist"),
        (2, "promts", "is not a known key"),
        (3, "prompts[0]", "has the unknown placeholder {vido}"),
        (3, "prompts[1]", "is no prompt"),
        (4, "seeds[1]", "is too small"),
        (5, "controls.edge", "is too large"),
        (5, "controls.vsi", "is not a known key"),
        (6, "settings.num_steps", "is too small"),
        (7, "include.sed", "is not a known key"),
        (8, "combine", "is no way to combine"),
        (9, "tags", 'have the name "a b"'),
    ]


@pytest.mark.parametrize(
    ("video", "message"),
    [
        ("a" * 300, "cannot be looked at (File name too long)"),
        ("a" * 300 + "/*.mp4", "matches no file"),
        ("a" * 300 + ".csv", "cannot be read"),
    ],
)
def test_names_that_are_too_long_are_problems(video: str, message: str, write: Write) -> None:
    each = f"{{file: {video}, column: path}}" if video.endswith(".csv") else f"[{video}]"
    found = problems(read_files([write("s.yaml", f"videos: {each}\nprompts: [rain]\ncontrols: {{edge: 1}}\n")]))
    assert len(found) == 1
    assert message in found[0][2]


def test_ids_that_collide_are_one_problem(write: Write) -> None:
    text = HEAD + "prompts: [rain, snow]\nseeds: [1, 2]\nid: '{video}__{prompt_name}'\n"

    (problem,) = read_files([write("s.yaml", text)]).problems

    assert problem.message == 'gives 4 runs an id that another has, for example "a__rain"'
    assert problem.remedy == "put {seed} into id"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("videos: [a\nb", "is not YAML"),
        ("videos: a.mp4\nvideos: b.mp4\n", 'gives the key "videos" more than once'),
        ("prompt: rain\n", "looks like YAML"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + MULTIPLIED, "has more than 2,000,000 parts"),
        ("seeds: &a [*a]\n", "is nested too deeply"),
        ("videos: !!python/object:os.system x\n", "has the tag"),
        (f"seeds: {{count: 3000}}\nsettings: {{num_steps: {HUNDRED}, fps: {HUNDRED}}}\n", "has 30,000,000"),
    ],
)
def test_a_file_that_cannot_be_expanded_is_one_problem(write: Write, text: str, message: str) -> None:
    (problem,) = read_files([write("s.yaml", text)]).problems

    assert message in problem.message


def test_a_prompt_may_be_json(write: Write) -> None:
    text = HEAD + """prompts: [{name: json, prompt: '{"caption": "{video}", "raw": "{{video}}"}'}]\n"""

    assert read_files([write("s.yaml", text)]).runs[0].prompt == '{"caption": "a", "raw": "{video}"}'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ('{"video": "clips/a.mp4", "prompt": "rain"}', "has no video, prompt_name or prompt in row 1"),
        ('{"video": "clips/a.mp4", "prompt_name": "rain", "prompt": "rain"}', "holds no prompt for "),
    ],
)
def test_written_prompts_that_do_not_fit_are_one_problem(write: Write, lines: str | None, message: str) -> None:
    if lines is not None:
        write("prompts.jsonl", lines + "\n")

    reading = read_files([write("s.yaml", HEAD + "prompts: {written: prompts.jsonl}\n")])

    ((line, field, found),) = problems(reading)
    assert (line, field, message in found) == (4, "prompts.written", True)
