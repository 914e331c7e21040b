"""The configuration file: every problem is reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_batch.engines.nvidia.config import DockerConfig, LocalConfig, SshConfig
from cosmos_batch.engines.nvidia.config_file import read_config
from cosmos_batch.errors import InputError

WHOLE = """
silence = 600.0

[launcher]
kind = "ssh"
host = "gpu1"
folder = "/data/cosmos-batch"
user = "render"

[transfer1]
folder = "/opt/cosmos-transfer1"
python = "/opt/venv/bin/python"
checkpoints = "/models/transfer1"
gpus = 2
options = ["--offload_guardrail_models"]

[transfer1.environment]
CUDA_HOME = "/usr/local/cuda"
"""

BROKEN = """
colour = "red"
silence = -1.0

[launcher]
kind = "docker"
image = "--privileged"

[transfer1]
folder = "relative/folder"
gpus = "two"
options = ["--seed=3"]

[transfer1.environment]
"NOT A NAME" = "x"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scripts.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str, engine: str = "transfer1") -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        read_config(write(tmp_path, text), engine)
    return {problem.field: str(problem) for problem in caught.value.problems}


def test_full_file_is_read(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, WHOLE), "transfer1")

    assert isinstance(config.launcher, SshConfig)
    assert (config.launcher.host, config.launcher.user, config.silence) == ("gpu1", "render", 600.0)
    script = config.script
    assert (script.gpus, script.options) == (2, ("--offload_guardrail_models",))
    assert script.environment == {"CUDA_HOME": "/usr/local/cuda"}


def test_missing_settings_get_defaults(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, '[transfer25]\nfolder = "/opt/cosmos-transfer2.5"\n'), "transfer25")

    assert config.launcher == LocalConfig()
    assert config.script.python == "python"


def test_docker_launcher_is_read(tmp_path: Path) -> None:
    text = '[launcher]\nkind = "docker"\nimage = "cosmos:1"\n[launcher.mounts]\n"/models" = "/models"\n'
    config = read_config(write(tmp_path, text + '[cosmos3]\nfolder = "/opt/c3"\n'), "cosmos3")

    assert isinstance(config.launcher, DockerConfig)
    assert config.launcher.mounts == {"/models": "/models"}


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, BROKEN)

    assert {"colour", "silence", "launcher.image", "transfer1.folder", "transfer1.gpus"} <= set(found)
    assert any(field.startswith("transfer1.environment") for field in found)
    assert "absolute path" in found["transfer1.folder"]


def test_options_that_a_run_sets_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, '[transfer1]\nfolder = "/x"\noptions = ["--seed=3"]\n')

    assert "'--seed=3': not an option to pass; known are --offload_" in found["transfer1.options"]


def test_file_without_the_engine_is_refused(tmp_path: Path) -> None:
    assert "there is no such table" in problems(tmp_path, WHOLE, "cosmos3")["cosmos3"]


@pytest.mark.parametrize("text", ["a = ", "x" * 3])
def test_malformed_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "is not TOML" in problems(tmp_path, text)[""]


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml", "transfer1")


def test_cosmos3_on_several_gpus_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, '[cosmos3]\nfolder = "/x"\ngpus = 2\ncheckpoints = "/y"\n', "cosmos3")

    assert set(found) == {"cosmos3.gpus", "cosmos3.checkpoints"}
