"""`cosmos-batch run` with a configuration: from a file of runs to videos, and no script left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.nvidia_world import STANDINS, World
from tests.support.processes import gone

MAIN = "from cosmos_batch.cli.app import main; main()"


def command(world: World, prompts: list[str]) -> subprocess.Popen[str]:
    """`cosmos-batch run` over edge runs with these prompts."""
    world.root.joinpath("behaviour.json").write_text(
        json.dumps({"diary": str(world.diary_file), **world.behaviour})
    )
    config = world.root / "scripts.toml"
    config.write_text(
        f'[transfer1]\nfolder = "{STANDINS}"\npython = "{sys.executable}"\n'
        f'environment = {{ STANDIN = "{world.root / "behaviour.json"}" }}\n'
    )
    spec = {"edge": {"control_weight": 1.0}, "input_video_path": world.video("street"), "negative_prompt": "bad"}
    files = []
    for number, prompt in enumerate(prompts):
        path = world.root / f"spec{number}.json"
        path.write_text(json.dumps({**spec, "prompt": prompt}))
        files.append(str(path))
    words = [
        "run",
        *files,
        "-o",
        str(world.root / "out"),
        "--engine",
        "transfer1",
        "--config",
        str(config),
        "--plain",
    ]
    env = {**os.environ, "XDG_CACHE_HOME": str(world.root / "cache")}
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def standin(world: World) -> int:
    """The id of the stand-in's process, once it is at work."""
    for _ in range(1000):
        if world.diary_file.exists() and '"batch"' in (text := world.diary_file.read_text()):
            pid: int = json.loads(text.splitlines()[0])["pid"]
            return pid
        time.sleep(0.02)
    raise AssertionError("the stand-in does not start")


def test_command_makes_the_videos(tmp_path: Path) -> None:
    process = command(World(tmp_path), ["a street", "-rf $(id) \"quoted\" 'it''s'\nand a second line"])
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["succeeded"] * 2
    assert all((tmp_path / "out" / line["output"]).exists() for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_script_outlives_its_command(tmp_path: Path, number: signal.Signals) -> None:
    world = World(tmp_path, behaviour={"stuck": ["a street"]})
    process = command(world, ["a street"])
    script = standin(world)

    process.send_signal(number)
    said, _ = process.communicate(timeout=60)

    assert gone([script]), said
    assert process.returncode == (-9 if number is signal.SIGKILL else 130), said
