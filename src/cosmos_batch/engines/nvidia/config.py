"""The configuration file of NVIDIA's scripts: TOML, read as a whole, all its problems reported at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cosmos_batch.errors import InputError, Problem

EngineName = Literal["transfer1", "transfer25", "cosmos3"]

# What may be passed to the scripts besides: memory levers, which no run speaks of and which change no video.
_OPTIONS = {
    "transfer1": frozenset(
        {
            "--offload_diffusion_transformer",
            "--offload_text_encoder_model",
            "--offload_guardrail_models",
        }
    ),
    "transfer25": frozenset({"--offload-guardrail-models"}),
    "cosmos3": frozenset(),
}


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("an absolute path is needed")
    return path


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
Word = Annotated[Text, StringConstraints(pattern=r"^[^-]")]  # what could be taken for an option is none
Absolute = Annotated[Text, AfterValidator(_absolute)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScriptConfig(_Strict):
    """One script: where it lies and how it is run. Paths are those of the machine or container it runs in."""

    folder: Absolute  # the repository, in which the script is started
    python: Word = "python"
    checkpoints: Word | None = None  # None: as the script does without
    gpus: Annotated[int, Field(ge=1, le=8)] = 1
    environment: dict[Variable, Text] = Field(default_factory=dict)
    options: tuple[str, ...] = Field(default=(), strict=False)  # further arguments, of those that are known


class Local(_Strict):
    """Scripts run on this machine."""

    kind: Literal["local"] = "local"


class Docker(_Strict):
    """Scripts run in containers on this machine."""

    kind: Literal["docker"]
    image: Word
    command: Word = "docker"  # of docker, or of what takes the same arguments
    gpus: Text = "all"  # of `docker run --gpus`
    mounts: dict[Absolute, Absolute] = Field(default_factory=dict)  # folders here, and their paths inside
    options: tuple[Text, ...] = Field(default=(), strict=False)  # further arguments of `docker run`


class Ssh(_Strict):
    """Scripts run on another host."""

    kind: Literal["ssh"]
    host: Word
    folder: Absolute  # there; for inputs, specs and outputs
    user: Word | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key: Text | None = None  # file of a private key, here
    known_hosts: Text | None = None  # here


class Config(_Strict):
    """What a configuration file says."""

    launcher: Annotated[Local | Docker | Ssh, Field(discriminator="kind")] = Local()
    scratch: Absolute | None = None  # here: specs, logs and outputs on their way; None: in the user's cache
    silence: Annotated[float, Field(gt=0)] = 3600.0  # seconds without a word or an output, until a script is ended
    transfer1: ScriptConfig | None = None
    transfer25: ScriptConfig | None = None
    cosmos3: ScriptConfig | None = None

    def script(self, engine: str) -> ScriptConfig:
        """The table of an engine that `read_config` was asked for."""
        table = {"transfer1": self.transfer1, "transfer25": self.transfer25, "cosmos3": self.cosmos3}[engine]
        assert table is not None
        return table


def read_config(path: Path, engine: str) -> Config:
    """Read a configuration that must have a table for this engine. Raises InputError with every problem."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError([_problem(path, "", "", f"cannot be read ({exc.strerror})", "name a TOML file")]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError([_problem(path, "", "", f"is not TOML: {exc}", "mend that line")]) from exc
    problems = [] if engine in value else [_problem(path, engine, "", "there is no such table", "add it")]
    config = None
    try:
        config = Config.model_validate(value)
    except ValidationError as exc:
        problems += [_from_pydantic(path, error) for error in exc.errors()]
    if config is not None:
        problems += _beyond_fields(path, config)
    if problems or config is None:
        raise InputError(problems)
    return config


def _problem(path: Path, field: str, found: str, message: str, remedy: str) -> Problem:
    return Problem(str(path), None, field, found, message, remedy)


def _from_pydantic(path: Path, error: Any) -> Problem:
    place = [str(part) for part in error["loc"] if part not in ("local", "docker", "ssh", "[key]")]
    missing = error["type"] == "missing"
    found = "" if missing else repr(error["input"])[:60]
    remedy = {
        "missing": "add it",
        "extra_forbidden": "remove it, or correct its name",
        "union_tag_invalid": 'say "local", "docker" or "ssh"',
        "union_tag_not_found": 'add kind = "local", "docker" or "ssh"',
    }.get(error["type"], "correct it")
    return _problem(path, ".".join(place), found, error["msg"][:1].lower() + error["msg"][1:], remedy)


def _beyond_fields(path: Path, config: Config) -> list[Problem]:
    """What is wrong although every field is well formed."""
    problems = []
    for engine, known in _OPTIONS.items():
        script: ScriptConfig | None = getattr(config, engine)
        if script is None:
            continue
        allowed = f"known are {', '.join(sorted(known))}" if known else "there are none for this script"
        for option in script.options:
            if option not in known:
                problems.append(
                    _problem(path, f"{engine}.options", repr(option), "not an option to pass", allowed)
                )
        if engine == "cosmos3" and script.gpus > 1:
            message = "several GPUs split the samples among them, and their order is then not known"
            problems.append(_problem(path, "cosmos3.gpus", str(script.gpus), message, "say 1"))
        if engine == "cosmos3" and script.checkpoints is not None:
            message = "the script is given its checkpoints by its environment"
            problems.append(_problem(path, "cosmos3.checkpoints", "", message, "use cosmos3.environment"))
    return problems
