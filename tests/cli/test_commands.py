"""The commands as a user meets them: what they print, what they leave behind, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.engines.base import Deferred, EngineSource, Loaded
from cosmos_batch.engines.registry import EngineChoice
from tests.support.cli_launcher import SimulatedEngines
from tests.support.dispatch_world import make_input
from tests.support.run_files import write_runs


@pytest.fixture
def runs_file(tmp_path: Path) -> Path:
    """Three good runs."""
    make_input(tmp_path / "in.mp4")
    return write_runs(tmp_path / "runs.jsonl", ["a", "b", "c"])


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main(SimulatedEngines())
    return int(ended.value.code or 0)


def test_run_makes_every_video_and_prints_a_summary(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    assert call(monkeypatch, "run", runs_file, "-o", out) == 0

    printed = capsys.readouterr().out
    assert "3 runs: 3 succeeded" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        ".cosmos-batch",
        "a",
        "b",
        "c",
        "contact_sheet.png",
        "manifest.jsonl",
    ]
    assert call(monkeypatch, "run", runs_file, "-o", out) == 0
    assert "batch 2" not in capsys.readouterr().out


def test_outputs_get_the_names_of_a_pattern_and_a_table(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    pattern = f"{out}/{{video}}/{{id}}_s{{seed}}.mp4"

    assert call(monkeypatch, "run", runs_file, "-o", pattern, "--manifest", tmp_path / "runs.csv") == 0

    assert [line.split(",")[:2] for line in (tmp_path / "runs.csv").read_text().splitlines()] == [
        ["id", "state"],
        *([id_, "succeeded"] for id_ in "abc"),
    ]
    named = sorted(path.relative_to(out) for path in (out / "in").iterdir())
    assert [str(path) for path in named] == [f"in/{id_}_s42.{kind}" for id_ in "abc" for kind in ("json", "mp4")]
    assert (out / "in" / "a_s42.mp4").samefile(out / "a" / "output.mp4")
    assert json.loads((out / "in" / "b_s42.json").read_text())["id"] == "b"
    # a name that was deleted comes back, and nothing is made again
    (out / "in" / "a_s42.mp4").unlink()
    made = (out / "a" / "run.json").read_bytes()
    assert call(monkeypatch, "run", runs_file, "-o", pattern) == 0
    assert (out / "in" / "a_s42.mp4").samefile(out / "a" / "output.mp4")
    assert (out / "a" / "run.json").read_bytes() == made


def test_shards_make_together_what_one_command_makes_and_nothing_twice(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shards = [f"{number}/4" for number in (1, 2, 3, 4)]

    assert [call(monkeypatch, "run", runs_file, "-o", out, "--shard", shard) for shard in shards] == [0] * 4

    printed = capsys.readouterr().out
    assert printed.count("1 run: 1 succeeded") == 3
    assert "shard 4/4 has no run to make" in printed
    assert sorted(path.parent.name for path in out.glob("*/output.mp4")) == ["a", "b", "c"]
    lines = [json.loads(path.read_text()) for path in sorted(out.glob("manifest.*.jsonl"))]
    assert [line["id"] for line in lines] == ["a", "b", "c"]
    assert call(monkeypatch, "status", out, "--json") == 0
    assert [status["state"] for status in json.loads(capsys.readouterr().out)] == ["succeeded"] * 3
    # what shards have made counts for a whole command, and for shards of another number
    made = [(out / id_ / "run.json").read_bytes() for id_ in "abc"]
    assert call(monkeypatch, "run", runs_file, "-o", out, "--shard", "1/2") == 0
    assert call(monkeypatch, "run", runs_file, "-o", out) == 0
    assert [(out / id_ / "run.json").read_bytes() for id_ in "abc"] == made


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            ("-o", "https://example.org/out"),
            "--output = https://example.org/out: is read and never written; give a folder",
        ),
        (("-o", "s3://bucket/{id}.mp4"), "--output = s3://bucket/{id}.mp4: is a pattern in a bucket; give"),
        (("-o", "out", "--shard", "3/2"), "--shard = 3/2: is no shard; write i/n with i from 1 to n"),
    ],
)
def test_a_destination_that_is_none_is_refused(
    option: tuple[str, ...],
    message: str,
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "run", runs_file, *option) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{video}/{seed}.mp4", "gives the runs a and b one name, in/42;"),
        ("{weather}/{id}.mp4", "has the placeholder {weather}, for which run a and 2 more has no value;"),
        ("{id}/{seed}.mp4", "puts the output of run a into the folder a, which is a run's own;"),
        ("{video}/{id}.mp4", "puts the output of run a into the folder in, which is a run's own;"),
        ("{id}/../../x.mp4", "leaves its folder;"),
        ("{id}_x", "a_x.mp4, which is no output of cosmos-batch;"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused_before_anything_is_made(
    pattern: str,
    message: str,
    tmp_path: Path,
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_x.mp4").write_bytes(b"a film")
    (out / "in").mkdir()
    (out / "in" / "run.json").write_text("{}")

    assert call(monkeypatch, "run", runs_file, "-o", f"{out}/{pattern}") == 2

    assert message in capsys.readouterr().err
    assert not any(out.glob("*/output.mp4"))
    assert (out / "a_x.mp4").read_bytes() == b"a film"


def test_a_failed_or_blocked_run_is_exit_code_1(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPLAY_FAULTS", "a=FAIL b=BLOCK")

    assert call(monkeypatch, "run", runs_file, "-o", tmp_path / "out") == 1

    assert "1 succeeded, 1 failed, 1 blocked" in capsys.readouterr().out
    assert call(monkeypatch, "status", tmp_path / "out") == 0
    assert "1 succeeded, 1 failed, 1 blocked" in capsys.readouterr().out


def test_command_whose_first_runs_fail_for_one_cause_stops_and_continues_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_input(tmp_path / "in.mp4")
    names = [f"r{number}" for number in range(30)]
    file, out = write_runs(tmp_path / "runs.jsonl", names), tmp_path / "out"
    monkeypatch.setenv("REPLAY_FAULTS", " ".join(f"{name}=FAIL" for name in names))

    assert call(monkeypatch, "run", file, "-o", out) == 1

    said = capsys.readouterr()
    assert "stopped: the first 5 runs have failed for one cause: scripted at step" in said.err
    assert "the same command continues once the cause is removed, or with --max-alike 0" in said.err
    manifest = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    states = [entry["state"] for entry in manifest]
    assert len(states) == 30
    assert 5 <= states.count("failed") <= 8  # those of the batch that was running
    assert states.count("queued") + states.count("preempted") == 30 - states.count("failed")

    assert call(monkeypatch, "run", file, "-o", out, "--max-alike", "0") == 1
    assert "30 runs: 30 failed" in capsys.readouterr().out
    monkeypatch.delenv("REPLAY_FAULTS")
    assert call(monkeypatch, "run", file, "-o", out) == 0
    assert "30 runs: 30 succeeded" in capsys.readouterr().out


def test_runs_that_fail_after_a_success_stop_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_input(tmp_path / "in.mp4")
    names = [f"r{number}" for number in range(20)]
    file = write_runs(tmp_path / "runs.jsonl", names)
    monkeypatch.setenv("REPLAY_FAULTS", " ".join(f"{name}=FAIL" for name in names[4:]))
    assert call(monkeypatch, "run", file, "-o", tmp_path / "out", "--max-batch", "2") == 1
    assert "4 succeeded, 16 failed" in capsys.readouterr().out


def test_status_as_json_names_every_run(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "run", runs_file, "-o", tmp_path / "out")
    capsys.readouterr()

    assert call(monkeypatch, "status", tmp_path / "out", "--json") == 0

    statuses = json.loads(capsys.readouterr().out)
    assert {status["id"]: status["state"] for status in statuses} == dict.fromkeys("abc", "succeeded")


def test_status_of_a_folder_without_runs_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "status", tmp_path) == 2
    assert "no command was run in it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_problem_is_a_line_and_no_run_is_started(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = runs_file.read_text().splitlines()
    (tmp_path / "noise.mp4").write_bytes(b"no video at all")
    bad = [
        lines[0].replace('"a"', '"../a"'),
        lines[1].replace("0.5", "-1"),
        lines[2].replace("in.mp4", "noise.mp4"),
        lines[2].replace('"c"', '"d"'),
    ]
    runs_file.write_text("\n".join(bad) + "\n")
    out = tmp_path / "out"

    assert call(monkeypatch, "run", runs_file, "-o", out) == 2

    errors = capsys.readouterr().err
    assert "../a" in errors
    assert "execution_config.weights.edge" in errors
    assert "noise.mp4" in errors
    assert not (out / "d").exists()
    assert call(monkeypatch, "check", runs_file) == 2
    assert "noise.mp4" in capsys.readouterr().err
    assert call(monkeypatch, "run", runs_file, "-o", out, "--skip-invalid") == 0
    assert (out / "d" / "output.mp4").exists()


def test_check_passes_good_input(
    runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check", runs_file) == 0
    assert "3 runs, no problem" in capsys.readouterr().out


def test_plan_shows_batches_savings_and_reasons(
    runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "plan", runs_file) == 0

    printed = capsys.readouterr().out
    assert "3 runs in 1 batch in 1 launch" in printed
    assert "one by one" in printed
    assert "every control forced" in printed
    assert "estimates" in printed
    assert call(monkeypatch, "plan", runs_file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["launches"][0]["batches"][0]["runs"] == ["a", "b", "c"]


def test_plan_uses_measurements_of_an_output_folder(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "run", runs_file, "-o", tmp_path / "out")

    assert call(monkeypatch, "plan", runs_file, "-o", tmp_path / "out") == 0

    assert "times fitted to 1 batch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "runs.jsonl"], "--output"),
        (["run", "runs.jsonl", "-o", "out", "--max-batch", "0"], "--max-batch"),
        (["run", "runs.jsonl", "-o", "out", "--engine", "steam"], "steam"),
        (["run", "absent.jsonl", "-o", "out"], "absent.jsonl"),
        (["run", "runs.jsonl", "-o", "runs.jsonl"], "is not a folder"),
        (["fly"], "fly"),
        (["status"], "DIR"),
    ],
)
def test_bad_usage_is_exit_code_2(
    tmp_path: Path,
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(runs_file.parent)

    assert call(monkeypatch, *arguments) == 2

    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "a").exists()


def test_a_second_command_on_the_same_folder_is_refused(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with OutputDirectory(tmp_path / "out"):
        assert call(monkeypatch, "run", runs_file, "-o", tmp_path / "out") == 2

    assert "is in use by process" in capsys.readouterr().err


def test_error_of_a_damaged_ledger_names_the_remedy(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call(monkeypatch, "run", runs_file, "-o", out)
    for file in (out / ".cosmos-batch").glob("ledger.sqlite*"):
        file.unlink()
    (out / ".cosmos-batch" / "ledger.sqlite").write_bytes(b"garbage" * 1000)
    capsys.readouterr()

    assert call(monkeypatch, "run", runs_file, "-o", out) == 1

    assert "move it away" in capsys.readouterr().err


def test_user_text_cannot_reach_the_terminal_unescaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_input(tmp_path / "in.mp4")
    file = write_runs(tmp_path / "runs.jsonl", ["x"], surprise="\x1b[31m[bold]red")
    file.write_text(file.read_text() + json.dumps({"id": "\x1b[2J", "prompt": "[red]p"}) + "\n")

    call(monkeypatch, "check", file)

    errors = capsys.readouterr().err
    assert "\x1b" not in errors
    assert errors.strip()


@pytest.mark.parametrize(
    "arguments", [("status", "a" * 300), ("doctor", "--model", "a" * 300), ("plan", "runs", "--model", "a" * 300)]
)
def test_name_that_no_file_can_have_is_named(
    arguments: tuple[str, ...],
    runs_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(runs_file) if word == "runs" else word for word in arguments]
    monkeypatch.setattr("sys.argv", ["cosmos-batch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    errors = " ".join(capsys.readouterr().err.split())
    assert "is longer than the name of a file can be; correct it" in errors
    assert "should not have happened" not in errors


def test_an_unexpected_error_is_a_line_and_a_file(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(SimulatedEngines):
        def load(self, *_arguments: object) -> object:  # type: ignore[override]
            raise RuntimeError("wires crossed")

    monkeypatch.setattr("sys.argv", ["cosmos-batch", "run", str(runs_file), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main(Broken())  # type: ignore[arg-type]

    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert "wires crossed" in errors
    assert "Traceback" not in errors
    report = next((tmp_path / "out" / ".cosmos-batch").glob("error-*.txt"))
    assert "Traceback" in report.read_text()


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("cosmos-batch 0.")


def test_warm_reads_the_prompts_of_files(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prompts = {json.loads(line)["prompt"] for line in runs_file.read_text().splitlines()}
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "warm", str(runs_file)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().out
    assert not ended.value.code, printed
    assert f"{len(prompts) + 1} prompts read" in printed
    assert str(tmp_path / "cache" / "cosmos-batch") in printed.replace("\n", "")


def test_warm_refuses_an_engine_that_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "warm") == 2
    assert "keeps nothing; pocket and transfer do" in capsys.readouterr().err.replace("\n", " ")


def test_command_whose_runs_are_all_made_loads_no_engine(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unloaded(SimulatedEngines):
        def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
            made = super().load(choice, controls)

            def load() -> Loaded:
                raise AssertionError("the engine was loaded")

            return Deferred(made.traits, made.identity, load)

    assert call(monkeypatch, "run", runs_file, "-o", tmp_path / "out") == 0
    drawn = (tmp_path / "out" / "contact_sheet.png").stat().st_mtime_ns
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "run", str(runs_file), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main(Unloaded())
    assert not ended.value.code, capsys.readouterr().err
    assert (tmp_path / "out" / "contact_sheet.png").stat().st_mtime_ns == drawn


def test_contact_sheet_shows_the_runs_of_the_latest_command(
    tmp_path: Path, runs_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = tmp_path / "out" / "contact_sheet.png"
    call(monkeypatch, "run", runs_file, "-o", tmp_path / "out")
    of_three = sheet.read_bytes()
    call(monkeypatch, "run", write_runs(tmp_path / "one.jsonl", ["b"]), "-o", tmp_path / "out")
    assert sheet.read_bytes() != of_three
    sheet.unlink()
    call(monkeypatch, "run", runs_file, "-o", tmp_path / "out")
    assert sheet.read_bytes() == of_three
