"""Whole commands over ssh and in a container: the same videos as here."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from tests.support.nvidia_world import BLOCKED, DONE, World, states
from tests.support.processes import fake_docker
from tests.support.ssh_server import SERVERS, Server, asyncssh_server, restarted


def over_ssh(world: World, server: Server) -> World:
    """The world with its scripts behind a server."""
    world.launcher = {
        "kind": "ssh",
        "host": "127.0.0.1",
        "port": server.port,
        "user": getpass.getuser(),
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
        "folder": str(world.root / "remote"),
    }
    return world


@pytest.fixture(params=["docker", *sorted(SERVERS)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    if request.param == "docker":
        world.launcher = {"kind": "docker", "image": "an/image:1", "command": fake_docker(tmp_path)}
        yield world
    else:
        folder = tmp_path / "server"
        folder.mkdir()
        with SERVERS[request.param](folder) as server:
            yield over_ssh(world, server)


def test_remote_videos_are_filed_under_their_runs(world: World) -> None:
    world.behaviour = {"unsafe_prompts": ["it's $(id)"]}
    runs = [world.run("r0"), world.run("r1", "it's $(id)"), world.run("r2", "-rf\n`x`"), world.run("r3")]

    found = states(world.make(runs))

    assert found == {"r0": DONE, "r1": BLOCKED, "r2": DONE, "r3": DONE}
    assert all(world.shows(run) for run in runs if found[run.id] == DONE)
    assert (world.root / "out" / "r0" / "control_edge.mp4").exists()
    assert not list((world.root / "remote").glob("batch_*"))  # nothing but inputs is left there


def test_lost_connection_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(asyncssh_server(tmp_path / "server"))
        world = over_ssh(World(tmp_path, behaviour={"each": 0.2}), server)

        def cut() -> None:
            while not world.diary("batch"):
                time.sleep(0.02)
            stack.enter_context(restarted(server))

        thread = Thread(target=cut)
        thread.start()
        runs = [world.run(f"r{i}") for i in range(6)]

        found = states(world.make(runs))

        thread.join()
        assert set(found.values()) == {DONE}
        assert all(world.shows(run) for run in runs)
        assert len(world.diary("start")) == 2
