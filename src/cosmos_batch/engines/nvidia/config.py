"""The configuration of one of NVIDIA's scripts: where it is, where and how it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("an absolute path is needed")
    return path


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
Word = Annotated[Text, StringConstraints(pattern=r"^[^-]")]  # cannot be taken for an option
Absolute = Annotated[Text, AfterValidator(_absolute)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScriptConfig(_Strict):
    """One script: where it is and how it is run. Paths are those of the machine or container that it runs in."""

    folder: Absolute  # the root of the script's repository, and its working folder
    python: Word = "python"
    checkpoints: Word | None = None  # None: the script's own default
    gpus: Annotated[int, Field(ge=1, le=8)] = 1
    environment: dict[Variable, Text] = Field(default_factory=dict)
    options: tuple[str, ...] = Field(default=(), strict=False)  # further arguments, of those that are known


class LocalConfig(_Strict):
    """Run scripts on this machine."""

    kind: Literal["local"] = "local"


class DockerConfig(_Strict):
    """Run scripts in containers on this machine."""

    kind: Literal["docker"]
    image: Word
    command: Word = "docker"  # docker, or a program that takes the same arguments
    gpus: Text = "all"  # of `docker run --gpus`
    mounts: dict[Absolute, Absolute] = Field(default_factory=dict)  # folders here, and their paths inside
    options: tuple[Text, ...] = Field(default=(), strict=False)  # further arguments of `docker run`


class SshConfig(_Strict):
    """Run scripts on another host."""

    kind: Literal["ssh"]
    host: Word
    folder: Absolute  # on the host; for inputs, specs and outputs
    user: Word | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key: Text | None = None  # file of a private key, on this machine
    known_hosts: Text | None = None  # on this machine


class Settings(_Strict):
    """The settings that hold for every script of a configuration file."""

    launcher: Annotated[LocalConfig | DockerConfig | SshConfig, Field(discriminator="kind")] = LocalConfig()
    scratch: Absolute | None = None  # on this machine: specs, logs, outputs in transfer; None: in the user's cache
    silence: Annotated[float, Field(gt=0)] = 3600.0  # seconds without log or output until a script is ended


class Config(Settings):
    """A configuration as one engine needs it."""

    script: ScriptConfig
