"""Inputs and outputs in a bucket, by s3fs, of a server that speaks S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.dispatch_world import make_input

pytestmark = pytest.mark.fleet

# The server looks whether a request is signed, and not by whom.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, Signature=0"}


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the environment in which commands reach it from a machine of its own."""

    url: str
    folder: Path

    def command(self, machine: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Execute cosmos-batch with the simulated engine, and with the caches of that machine."""
        environment = os.environ | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_CACHE_HOME": str(self.folder / machine),
        }
        command = [sys.executable, "-m", "tests.support.cli_launcher", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        httpx.put(f"{self.url}/clips/{key}", content=content, headers=_SIGNED).raise_for_status()

    def get(self, key: str) -> bytes | None:
        """Read an object."""
        answer = httpx.get(f"{self.url}/clips/{key}", headers=_SIGNED)
        return None if answer.status_code == 404 else answer.raise_for_status().content

    def delete(self, key: str) -> None:
        """Delete an object."""
        httpx.delete(f"{self.url}/clips/{key}", headers=_SIGNED).raise_for_status()


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket named clips."""
    script = (
        "from moto.server import ThreadedMotoServer; import time\n"
        "server = ThreadedMotoServer(port=0, verbose=False); server.start()\n"
        "print(server.get_host_and_port()[1], flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            httpx.put(f"{url}/clips", headers=_SIGNED).raise_for_status()
            yield Bucket(url, tmp_path)
        finally:
            server.kill()


@pytest.fixture
def runs(bucket: Bucket) -> Path:
    """Three runs of a video of the bucket, one of them of a span."""
    bucket.put("in/a.mp4", make_input(bucket.folder / "a.mp4").read_bytes())
    videos: list[object] = ["s3://clips/in/a.mp4"] * 2 + [{"path": "s3://clips/in/a.mp4", "start": 0, "frames": 1}]
    lines = [
        json.dumps(
            {"id": id_, "prompt": id_, "inputs": {"video": video}, "execution_config": {"weights": {"edge": 1}}}
        )
        for id_, video in zip("abc", videos, strict=True)
    ]
    file = bucket.folder / "runs.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_what_one_machine_has_made_no_other_makes_again(bucket: Bucket, runs: Path) -> None:
    arguments = ("run", runs, "-o", "s3://clips/out", "--plain")

    first = bucket.command("one", *arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "are in s3://clips/out" in first.stdout
    made = [bucket.get(f"out/{id_}/run.json") for id_ in "abc"]
    assert all(made)
    assert b"s3://clips/in/a.mp4" in (made[0] or b"")
    assert (bucket.get("out/manifest.jsonl") or b"").count(b"succeeded") == 3

    bucket.delete("out/b/run.json")  # as an upload that was cut off leaves it
    second = bucket.command("two", *arguments)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "batch 1: b\n" in second.stdout
    assert "batch 2" not in second.stdout
    assert [bucket.get(f"out/{id_}/run.json") for id_ in "ac"] == [made[0], made[2]]
    assert bucket.get("out/b/run.json")


def test_shards_on_several_machines_share_a_bucket(bucket: Bucket, runs: Path) -> None:
    for number in (1, 2):
        done = bucket.command(
            f"m{number}", "run", runs, "-o", "s3://clips/out", "--shard", f"{number}/2", "--plain"
        )
        assert done.returncode == 0, done.stdout + done.stderr
    whole = bucket.command("m3", "run", runs, "-o", "s3://clips/out", "--plain")

    assert whole.returncode == 0
    assert "batch 1" not in whole.stdout
    assert "3 runs: 3 succeeded" in whole.stdout


def test_every_input_that_is_not_there_is_named_and_a_bucket_that_is_not_is_one_message(
    bucket: Bucket, runs: Path
) -> None:
    text = runs.read_text().replace("in/a.mp4", "in/none.mp4")
    wrong = bucket.folder / "wrong.jsonl"
    wrong.write_text(text)

    checked = bucket.command("one", "check", wrong)
    assert checked.returncode == 2
    assert checked.stderr.count("s3://clips/in/none.mp4: no such file") == 3
    elsewhere = bucket.command("one", "run", runs, "-o", "s3://no-such/out", "--plain")
    assert elsewhere.returncode != 0
    assert "there is no such bucket; make it, or correct it" in elsewhere.stderr
    assert "Traceback" not in elsewhere.stderr
