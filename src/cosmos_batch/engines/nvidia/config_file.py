"""The configuration file of NVIDIA's scripts: TOML, checked as a whole, with every problem reported at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cosmos_batch.engines.nvidia.config import (
    Config,
    DockerConfig,
    LocalConfig,
    ScriptConfig,
    Settings,
    SshConfig,
)
from cosmos_batch.engines.nvidia.script import Script
from cosmos_batch.engines.nvidia.scripts import SCRIPTS
from cosmos_batch.errors import InputError, MissingExtraError, Problem
from cosmos_batch.formats.pipes import open_bytes

Model = TypeVar("Model", bound=BaseModel)

_REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its name",
    "union_tag_invalid": 'say "local", "docker" or "ssh"',
    "union_tag_not_found": 'add kind = "local", "docker" or "ssh"',
}


def read_config(path: Path, engine: str) -> Config:
    """Read a configuration that must have a table for this engine. Raises InputError with every problem."""
    own = SCRIPTS[engine].config_table
    try:
        with open_bytes(path) as stream:
            value = tomllib.loads(stream.read().decode())
    except OSError as exc:
        raise InputError([_problem(path, "", "", f"cannot be read ({exc.strerror})", "name a TOML file")]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError([_problem(path, "", "", f"is not TOML: {exc}", "mend that line")]) from exc
    problems = [] if own in value else [_problem(path, own, "", "there is no such table", "add it")]
    known = {script.config_table for script in SCRIPTS.values()}
    settings, found = _validated(path, "", Settings, {k: v for k, v in value.items() if k not in known})
    problems += found
    tables: dict[str, ScriptConfig] = {}
    for name in (name for name in SCRIPTS if name in known and name in value):
        table, found = _validated(path, name, ScriptConfig, value[name])
        problems += found
        if table is not None:
            tables[name] = table
    if not problems:
        problems = [each for name, table in tables.items() for each in _table_problems(path, SCRIPTS[name], table)]
    if problems or settings is None:
        raise InputError(problems)
    return Config(**dict(settings), script=tables[own])


def installation_problems(path: Path, engine: str, config: Config) -> tuple[Problem, ...]:
    """What the configuration names and this machine lacks; of another host nothing is known."""
    script, table, found = config.script, SCRIPTS[engine].config_table, []
    match config.launcher:
        case LocalConfig():
            if not Path(script.folder).is_dir():
                found.append((f"{table}.folder", script.folder, "there is no such folder", "correct it"))
            if which(script.python) is None and which(Path(script.folder) / script.python) is None:
                found.append((f"{table}.python", script.python, "there is no such program", "correct it"))
        case DockerConfig(command=command) if which(command) is None:
            found.append(("launcher.command", command, "there is no such program", "install it, or correct it"))
        case SshConfig() if find_spec("asyncssh") is None:
            lack = str(MissingExtraError("running scripts over ssh", "ssh"))
            found.append(("launcher.kind", "ssh", lack, "or choose another launcher"))
    return tuple(_problem(path, *parts) for parts in found)


def _validated(path: Path, table: str, model: type[Model], value: object) -> tuple[Model | None, list[Problem]]:
    """A table as its model, or its problems."""
    try:
        return model.model_validate(value), []
    except ValidationError as exc:
        return None, [_from_pydantic(path, table, error) for error in exc.errors()]


def _from_pydantic(path: Path, table: str, error: ErrorDetails) -> Problem:
    parts = [str(part) for part in error["loc"] if part not in ("local", "docker", "ssh", "[key]")]
    found = "" if error["type"] == "missing" else repr(error["input"])[:60]
    message = error["msg"][:1].lower() + error["msg"][1:]
    field = ".".join([table, *parts] if table else parts)
    return _problem(path, field, found, message, _REMEDIES.get(error["type"], "correct it"))


def _table_problems(path: Path, script: Script, config: ScriptConfig) -> Iterable[Problem]:
    """Options that a user may not pass, and settings that the script cannot use."""
    known = script.options
    allowed = f"known are {', '.join(sorted(known))}" if known else "there are none for this script"
    for option in config.options:
        if option not in known:
            yield _problem(path, f"{script.name}.options", repr(option), "not an option to pass", allowed)
    for field, found, message, remedy in script.config_problems(config):
        yield _problem(path, f"{script.name}.{field}", found, message, remedy)


def _problem(path: Path, field: str, found: str, message: str, remedy: str) -> Problem:
    return Problem(str(path), None, field, found, message, remedy)
