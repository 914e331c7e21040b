"""`cosmos-batch prompts`: prompts by a model, from the clips to a file for review."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.cli.app import main
from cosmos_batch.formats import read_files
from tests.support.chat_server import (
    ChatServer,
    Reply,
    caption_or_variation,
    chat_server,
    completion,
    pictures_of,
    text_of,
)
from tests.support.clips import clip
from tests.support.http_server import until
from tests.support.lerobot_data import TOP, write_dataset


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    """Two clips, and two instructions."""
    (tmp_path / "clips").mkdir()
    clip(tmp_path / "clips" / "a.mp4", frames=6)
    clip(tmp_path / "clips" / "b.mp4", frames=3)
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"videos": "clips", "instructions": {"rain": "heavy rain", "snow": "snow"}}))
    return file


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["cosmos-batch", "prompts", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_episodes_of_a_sweep_are_captioned_and_the_sweep_takes_the_reviewed_prompts(
    tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "demo", "v3.0")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"videos: {{dataset: demo, camera: {TOP}, episodes: '0:2'}}\ninstructions: {{rain: heavy rain}}\n"
        "prompts: {written: prompts.jsonl}\ncontrols: {edge: 1}\nseeds: [1]\n"
    )
    (problem,) = read_files([sweep]).problems
    assert (problem.line, problem.field) == (3, "prompts.written")

    assert call(monkeypatch, sweep, "--endpoint", server.url) == 0

    # episodes share a file, and each is asked about by its own pictures, once
    assert len(server.asked) == 4
    assert call(monkeypatch, sweep, "--endpoint", server.url, "-o", tmp_path / "again.jsonl") == 0
    assert len(server.asked) == 4
    written = lines(tmp_path / "prompts.jsonl")
    assert [line["caption"] for line in written[::2]] == ["a clip of 5 pictures", "a clip of 7 pictures"]
    reviewed = [line | {"prompt": line["prompt"] + "!"} for line in written if line["prompt_name"] == "rain"]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, reviewed)))
    reading = read_files([sweep])
    assert [str(problem) for problem in reading.problems] == []
    assert [(run.id, run.prompt) for run in reading.runs] == [
        (f"episode_00000{index}__rain__s1", "a clip with heavy rain!") for index in (0, 1)
    ]
    assert [run.video for run in reading.runs] == [line["video"] for line in reviewed]


def test_every_clip_is_captioned_and_every_caption_varied(
    tmp_path: Path, request_file: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--instruction", "dusk=at dusk") == 0
    written = lines(tmp_path / "prompts.jsonl")
    assert [(Path(line["video"]).stem, line["prompt_name"], line["prompt"]) for line in written] == [
        (stem, name, prompt)
        for stem, count in (("a", 6), ("b", 3))
        for name, prompt in (
            ("caption", f"a clip of {count} pictures"),
            ("rain", "a clip with heavy rain"),
            ("snow", "a clip with snow"),
            ("dusk", "a clip with at dusk"),
        )
    ]
    assert {line["caption"] for line in written} == {"a clip of 6 pictures", "a clip of 3 pictures"}
    assert [line["instruction"] for line in written[:2]] == [None, "heavy rain"]
    assert {(line["endpoint"], line["model"], line["frames"], line["style"]) for line in written} == {
        (server.url, "eye", 8, "text")
    }
    assert all(len(line["video_sha256"]) == 64 and line["made_at"].endswith("Z") for line in written)


def test_same_question_is_asked_once_whatever_the_name_of_the_clip(
    tmp_path: Path, request_file: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips" / "b.mp4").write_bytes((tmp_path / "clips" / "a.mp4").read_bytes())
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 0
    assert len(server.asked) == 3
    assert len(lines(tmp_path / "prompts.jsonl")) == 6
    assert call(monkeypatch, request_file, "--endpoint", server.url, "-o", "again.jsonl") == 0
    assert len(server.asked) == 3
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "prompts.jsonl").read_bytes()


def test_review_is_kept_and_an_edited_caption_is_what_is_varied(
    tmp_path: Path, request_file: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(monkeypatch, request_file, "--endpoint", server.url)
    file = tmp_path / "prompts.jsonl"
    edited = file.read_text().replace('"prompt": "a clip of 6 pictures"', '"prompt": "a red crane"')
    file.write_text(edited)
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--instruction", "dusk=at dusk") == 0
    assert file.read_text().startswith(edited)
    assert [line["caption"] for line in lines(file)[6:]] == ["a red crane", "a clip of 3 pictures"]
    assert any("a red crane" in text_of(body) for body in server.asked)


def test_file_of_another_request_is_not_mixed_with_this_one(
    tmp_path: Path,
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(monkeypatch, request_file, "--endpoint", server.url)
    before = (tmp_path / "prompts.jsonl").read_text()
    request_file.write_text(request_file.read_text().replace("heavy rain", "drizzle"))
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 2
    found = capsys.readouterr().err.strip().splitlines()
    assert len(found) == 2
    assert 'prompts.jsonl: instruction = "drizzle": is another one than that of prompt rain of' in found[0]
    assert "--replace" in found[0]
    assert (tmp_path / "prompts.jsonl").read_text() == before
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--replace") == 0
    assert [line["instruction"] for line in lines(tmp_path / "prompts.jsonl")[:2]] == [None, "drizzle"]


def test_json_captions_are_for_cosmos_3(
    tmp_path: Path, request_file: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption = {"subjects": [{"description": "a crane"}], "background_setting": "a dock", "temporal_caption": "x"}
    answers = iter(["a crane", "{}"])  # wrong ones, which are asked again
    server.answer = lambda _: completion(next(answers, f"```json\n{json.dumps(caption)}\n```"))
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--json-captions", "--parallel", "1") == 0
    assert len(server.asked) == 2 + 2 + 2  # captions, wrong answers, variations of what is one caption
    assert all(json.loads(line["prompt"]) == caption for line in lines(tmp_path / "prompts.jsonl"))


def test_failed_question_costs_its_own_prompts_alone(
    tmp_path: Path,
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        if len(pictures_of(body)) == 3:
            return 400, {"error": {"message": "too dark"}}
        return completion("") if "snow" in text_of(body) else caption_or_variation(body)

    server.answer = answer
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 1
    captured = capsys.readouterr()
    assert [line["prompt_name"] for line in lines(tmp_path / "prompts.jsonl")] == ["caption", "rain"]
    assert (
        f'{request_file}: {tmp_path / "clips/b.mp4"}: caption: {server.url} answers 400: "too dark"'
        in captured.err
    )
    assert f"{tmp_path / 'clips/a.mp4'}: snow: the answer is empty (3 answers of eye)" in captured.err
    assert "2 prompts written to prompts.jsonl" in captured.out
    server.answer = caption_or_variation
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 0
    assert len(lines(tmp_path / "prompts.jsonl")) == 6


def test_bad_clip_is_a_problem_before_anything_is_asked(
    tmp_path: Path,
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "clips" / "b.mp4").write_bytes(b"no video")
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 2
    assert f"{request_file}: {tmp_path / 'clips/b.mp4'}: cannot be read as a video" in capsys.readouterr().err
    assert server.asked == []
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--skip-invalid") == 0
    assert len(lines(tmp_path / "prompts.jsonl")) == 3


def test_refusing_server_stops_the_rest_and_loses_no_answer(
    tmp_path: Path,
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.answer = lambda body: caption_or_variation(body) if pictures_of(body) else (401, {"error": "expired"})
    assert call(monkeypatch, request_file, "--endpoint", server.url, "--parallel", "1") == 1
    assert "does not accept the key; name one with --key; the same command asks" in capsys.readouterr().err
    assert [line["prompt_name"] for line in lines(tmp_path / "prompts.jsonl")] == ["caption", "caption"]
    assert len(server.asked) == 3


def test_kill_loses_no_answer(tmp_path: Path, request_file: Path, server: ChatServer) -> None:
    hold = threading.Event()

    def answer(body: dict[str, Any]) -> Reply:
        if "snow" in text_of(body):
            hold.wait(60)
        return caption_or_variation(body)

    server.answer = answer
    command = [sys.executable, "-m", "tests.support.cli_launcher", "prompts", str(request_file)]
    command += ["--endpoint", server.url, "--parallel", "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    kept = tmp_path / "cache" / "cosmos-batch" / "prompts"
    try:
        until(lambda: len(list(kept.glob("*.json"))), lambda count: count == 4)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        hold.set()
    before = sum("snow" not in text_of(body) for body in server.asked)
    assert subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode == 0
    assert sum("snow" not in text_of(body) for body in server.asked) == before == 4
    assert len(lines(tmp_path / "prompts.jsonl")) == 6


def test_damaged_file_of_prompts_is_not_overwritten(
    tmp_path: Path,
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"video": "a.mp4"}\n{"vid')
    assert call(monkeypatch, request_file, "--endpoint", server.url) == 2
    found = capsys.readouterr().err
    assert "prompts.jsonl:1: prompt: is missing" in found
    assert "prompts.jsonl:2" in found
    assert (tmp_path / "prompts.jsonl").read_text() == '{"video": "a.mp4"}\n{"vid'
    assert server.asked == []


def test_output_in_no_folder_is_refused_first(
    request_file: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, request_file, "--endpoint", server.url, "-o", "no/prompts.jsonl") == 2
    assert '--output = "no/prompts.jsonl": is no file in a folder that exists' in capsys.readouterr().err
    assert server.asked == []
