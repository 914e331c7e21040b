"""The launchers: words of a command line are data, outputs are fetched, no process outlives its starter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.launchers.base import WATCHDOG, Launcher, Process, ScriptCommand, killed
from cosmos_batch.engines.nvidia.launchers.docker import DockerLauncher
from cosmos_batch.engines.nvidia.launchers.local import LocalLauncher
from cosmos_batch.engines.nvidia.launchers.ssh import SshLauncher
from cosmos_batch.errors import EngineError
from tests.support.processes import DESERT, LINGER, alive, fake_docker, gone, lingering
from tests.support.ssh_server import SERVERS, Server
from tests.support.waiting import wait_until

HOSTILE = ["$(touch pwned)", "`id`", 'it\'s "quoted"', "-rf", "a\nb", "; rm x", "*", "", "ünï ☃", "\\'"]
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['ODD'], os.getcwd()]))"


@pytest.fixture(params=sorted(SERVERS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with SERVERS[request.param](folder) as server:
        yield server


@pytest.fixture(params=["local", "docker", *(f"ssh to {name}" for name in sorted(SERVERS))])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    """Every launcher, for the same tests."""
    if request.param == "local":
        yield LocalLauncher()
    elif request.param == "docker":
        yield DockerLauncher("an/image:1", tmp_path, docker=fake_docker(tmp_path))
    else:
        folder = tmp_path / "server"
        folder.mkdir()
        with SERVERS[request.param.removeprefix("ssh to ")](folder) as server:
            launcher = SshLauncher(server.host(tmp_path / "remote folder"))
            yield launcher
            launcher.close()


def start(launcher: Launcher, tmp_path: Path, *argv: str) -> Process:
    outputs = tmp_path / "outputs"
    outputs.mkdir(exist_ok=True)
    cwd = tmp_path / "it's $(here)"
    cwd.mkdir(exist_ok=True)
    words = (sys.executable, *argv)
    staged = launcher.stage(outputs)
    words = tuple(staged if word == "OUTPUTS" else word for word in words)
    env = {"ODD": "a 'b' $(c)"}
    return launcher.start(ScriptCommand(sys.executable, words, env, str(cwd), outputs, staged, tmp_path / "log"))


def wait(process: Process) -> int:
    for _ in range(1000):
        if (status := process.poll()) is not None:
            return status
        time.sleep(0.02)
    raise AssertionError("the process does not end")


def test_every_word_of_a_command_line_is_data(launcher: Launcher, tmp_path: Path) -> None:
    process = start(launcher, tmp_path, "-c", SHOW, *HOSTILE)

    assert wait(process) == 0
    words, odd, cwd = json.loads((tmp_path / "log").read_text())

    assert (words, odd, cwd) == (HOSTILE, "a 'b' $(c)", str(tmp_path / "it's $(here)"))
    assert not list(tmp_path.rglob("pwned"))
    process.close()


def test_outputs_are_fetched_while_the_script_runs(launcher: Launcher, tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "os.makedirs(sys.argv[1] + '/video_0')\n"
        "open(sys.argv[1] + '/video_0/output.mp4', 'wb').write(bytes(1000))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    process = start(launcher, tmp_path, "-c", script, "OUTPUTS")
    wait_until(lambda: "ready" in (tmp_path / "log").read_text())

    assert process.listing("video_0") == {"output.mp4"}
    fetched = process.fetch("video_0/output.mp4")

    assert process.poll() is None
    assert process.listing() == {"video_0"}
    assert fetched is not None
    assert fetched.read_bytes() == process.read("video_0/output.mp4") == bytes(1000)
    assert process.fetch("video_0/none") is None
    assert process.read("none") is None
    assert process.listing("none") == frozenset()
    process.close()


def test_exit_status_is_returned(launcher: Launcher, tmp_path: Path) -> None:
    process = start(launcher, tmp_path, "-c", "import sys; print('bye'); sys.exit(3)")
    assert wait(process) == 3
    assert (tmp_path / "log").read_text() == "bye\n"
    process.close()


def test_killed_script_has_a_signal_status(launcher: Launcher, tmp_path: Path) -> None:
    process = start(launcher, tmp_path, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert killed(wait(process))
    process.close()


def test_close_ends_a_script_with_all_its_processes(
    launcher: Launcher, tmp_path: Path, quick_end: Callable[[], None]
) -> None:
    quick_end()
    process = start(launcher, tmp_path, "-c", LINGER)
    pids = lingering(tmp_path)

    process.close()

    assert gone(pids)


@pytest.mark.parametrize("end", ["close", "exit"])
def test_processes_that_left_the_group_are_ended(
    launcher: Launcher, tmp_path: Path, quick_end: Callable[[], None], end: str
) -> None:
    quick_end()
    process = start(launcher, tmp_path, "-c", DESERT, end)
    pids = lingering(tmp_path)

    if end == "exit":
        assert wait(process) == 0
    process.close()

    assert gone(pids)


def test_script_does_not_outlive_a_killed_watchdog(tmp_path: Path) -> None:
    process = start(LocalLauncher(), tmp_path, "-c", LINGER)
    script, _ = lingering(tmp_path)
    watchdog = int(Path(f"/proc/{script}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(watchdog, signal.SIGKILL)

    assert gone([script])
    process.close()


def test_local_script_gets_a_chosen_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = {
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_HOME": "/hf",
        "PYTHONHASHSEED": "0",
        "https_proxy": "p",
        "TMPDIR": "/tmp",
    }
    withheld = {
        "COSMOS_BATCH_KEY": "cb_secret",
        "AWS_SECRET_ACCESS_KEY": "s",
        "COSMOS_BATCH_SERVER": "x",
        "XPATH": "y",
    }
    for name, value in {**passed, **withheld}.items():
        monkeypatch.setenv(name, value)

    process = start(LocalLauncher(), tmp_path, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    assert wait(process) == 0
    process.close()

    found = json.loads((tmp_path / "log").read_text())
    assert passed.items() <= found.items()
    assert found["ODD"] == "a 'b' $(c)"
    assert {"PATH", "HOME"} & os.environ.keys() <= found.keys()
    assert not withheld.keys() & found.keys()


@pytest.fixture
def quick_end(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Shortens the time between SIGTERM and SIGKILL."""

    def shorten() -> None:
        source = WATCHDOG.replace("GRACE_SECONDS = 5.0", "GRACE_SECONDS = 0.2")
        assert source != WATCHDOG
        monkeypatch.setattr("cosmos_batch.engines.nvidia.launchers.base.WATCHDOG", source)

    return shorten


def test_script_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    watchdog = WATCHDOG.replace("GRACE_SECONDS = 5.0", "GRACE_SECONDS = 0.2")
    starter = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-I', '-c', sys.argv[1], '0', sys.executable, '-c', sys.argv[2]],\n"
        "    stdin=subprocess.PIPE, stdout=open(sys.argv[3], 'w'), start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    own = subprocess.Popen([sys.executable, "-c", starter, watchdog, LINGER, str(tmp_path / "log")])
    pids = lingering(tmp_path)

    own.send_signal(signal.SIGKILL)
    own.wait()

    assert gone(pids)


def test_script_ends_when_its_starter_sends_no_heartbeat(tmp_path: Path) -> None:
    watchdog = WATCHDOG.replace("GRACE_SECONDS = 5.0", "GRACE_SECONDS = 0.2")
    with (tmp_path / "log").open("w") as log:
        words = (sys.executable, "-I", "-c", watchdog, "0.6", sys.executable, "-c", LINGER)
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log)
    assert process.stdin is not None
    for _ in range(6):
        time.sleep(0.2)
        process.stdin.write(b".")
        process.stdin.flush()
    pids = lingering(tmp_path)
    assert all(alive(pid) for pid in pids)

    assert gone(pids)

    process.stdin.close()
    process.wait()


def test_script_ends_when_the_connection_does(
    server: Server, tmp_path: Path, quick_end: Callable[[], None]
) -> None:
    quick_end()
    launcher = SshLauncher(server.host(tmp_path / "remote"))
    process = start(launcher, tmp_path, "-c", LINGER)
    pids = lingering(tmp_path)

    launcher.close()

    assert gone(pids)
    with pytest.raises(EngineError, match="closed"):
        process.poll()


def test_host_with_another_key_is_refused(server: Server, tmp_path: Path) -> None:
    known = tmp_path / "other_known_hosts"
    public = (server.key.parent / "user_key.pub").read_text()
    known.write_text(f"[127.0.0.1]:{server.port} {public}")
    video = tmp_path / "video.mp4"
    video.write_bytes(b"x")
    for known_hosts in (known, tmp_path / "empty"):
        known_hosts.touch()
        launcher = SshLauncher(server.host(tmp_path / "remote", known_hosts=str(known_hosts)))

        with pytest.raises(EngineError, match=r"[Hh]ost key"):
            launcher.stage(video)

        launcher.close()


def test_input_is_uploaded_once_per_content(server: Server, tmp_path: Path) -> None:
    launcher = SshLauncher(server.host(tmp_path / "remote"))
    for name in ("-a 'b'.MP4", "copy.mp4"):
        (tmp_path / name).write_bytes(b"the same")

    first, second = launcher.stage(tmp_path / "-a 'b'.MP4"), launcher.stage(tmp_path / "copy.mp4")
    uploaded = Path(first).stat().st_mtime_ns
    launcher.close()
    again = SshLauncher(server.host(tmp_path / "remote"))

    assert first == second == again.stage(tmp_path / "copy.mp4")
    assert Path(first).read_bytes() == b"the same"
    assert Path(first).stat().st_mtime_ns == uploaded
    again.close()


def test_docker_mounts_may_have_commas_and_colons(tmp_path: Path) -> None:
    scratch = tmp_path / 'a,b:c"d'
    launcher = DockerLauncher(
        "an/image:1", scratch, gpus="device=1", mounts={"/models": "/opt/models"}, options=("--ipc=host",)
    )
    command = ScriptCommand(
        "python", ("python", "x.py"), {"A": "b c"}, "/opt/it", scratch, str(scratch), tmp_path / "log"
    )

    words = launcher.command_line(command, "a-name")

    assert words[:7] == ("docker", "run", "--rm", "--interactive", "--init", "--name=a-name", "--gpus=device=1")
    quoted = str(scratch).replace('"', '""')
    assert f'--mount=type=bind,"source={quoted}","target={quoted}"' in words
    assert "--mount=type=bind,source=/models,target=/opt/models" in words
    assert words[words.index("an/image:1") - 1] == "--ipc=host"
    assert words[-2:] == ("python", "x.py")


def test_docker_copies_an_input_once_per_content(tmp_path: Path) -> None:
    launcher = DockerLauncher("an/image:1", tmp_path / "scratch")
    for name in ("a.mp4", "b.MP4"):
        (tmp_path / name).write_bytes(b"the same")

    names = {launcher.stage(tmp_path / "a.mp4"), launcher.stage(tmp_path / "b.MP4")}

    assert len(names) == 1
    assert Path(names.pop()).parent == tmp_path / "scratch" / "inputs"
    assert launcher.stage(tmp_path / "scratch" / "x" / "outputs") == str(tmp_path / "scratch" / "x" / "outputs")


def test_program_that_cannot_be_started_is_an_engine_error(tmp_path: Path) -> None:
    command = ScriptCommand(
        "/no/such/python", ("x",), {}, str(tmp_path), tmp_path, str(tmp_path), tmp_path / "log"
    )

    with pytest.raises(EngineError, match="/no/such/python cannot be started"):
        LocalLauncher().start(command)

    assert (tmp_path / "log").is_file()
