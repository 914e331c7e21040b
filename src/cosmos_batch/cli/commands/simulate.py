"""`cosmos-batch simulate`: how a queue would behave on a fleet, under several policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.simulation import print_simulations
from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.cli.service_location import ServiceLocation
from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.engines.registry import EngineChoice, Engines
from cosmos_batch.errors import InputError, Problem, StorageError
from cosmos_batch.ledger import Ledger
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits
from cosmos_batch.simulation.compare import Scenario, compare, policies_named
from cosmos_batch.simulation.from_ledger import read_ledger
from cosmos_batch.simulation.params import generate, read_params
from cosmos_batch.simulation.picture import picture
from cosmos_batch.simulation.policies import POLICIES
from cosmos_batch.simulation.read_trace import read_trace
from cosmos_batch.simulation.settings import Machines, SimulationSettings
from cosmos_batch.simulation.summary import Summary, as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationRequest:
    """Options of `cosmos-batch simulate`."""

    source: Path | None  # a trace or parameters
    home: Path | None  # of the service whose history is the trace
    ledger: str | None  # database URL of that service; None: a file in `home`
    gpus: int
    policies: tuple[str, ...]  # names; empty: all
    seed: int
    output: Path | None  # the folder for simulation.json and timeline.svg
    as_json: bool


def simulate_command(engines: Engines, choice: EngineChoice, wanted: SimulationRequest) -> int:
    """Simulate a trace and print the outcome; returns the exit code. Raises CosmosBatchError."""
    policies = policies_named(wanted.policies or tuple(POLICIES))
    scenario = _scenario(engines, choice, wanted)
    summaries = list(compare(scenario, policies, SimulationSettings(seed=wanted.seed)))
    report = as_json(str(wanted.source or wanted.home), wanted.gpus, summaries, scenario.cost.error)
    text = json.dumps(report, ensure_ascii=False)
    if wanted.as_json:
        print(text)
    else:
        print_simulations(console(), summaries, wanted.gpus, scenario.cost.error)
    if wanted.output is not None:
        _write(wanted.output, text, summaries, quiet=wanted.as_json)
    return 0


def _scenario(engines: Engines, choice: EngineChoice, wanted: SimulationRequest) -> Scenario:
    preview = engines.preview(choice)
    if wanted.home is not None:
        return _from_ledger(wanted.home, wanted, preview.traits, preview.prior)
    source = wanted.source
    if source is None:
        raise InputError([Problem("", None, "", "", "no trace is named", "name a file, or --from-ledger HOME")])
    if source.suffix.lower() == ".toml":
        made = generate(read_params(source), preview.traits, preview.prior, str(source))
        return Scenario(made.trace, made.traits, made.cost, wanted.gpus, made.machines)
    trace = read_trace(source, preview.traits)
    return Scenario(trace, preview.traits, preview.prior, wanted.gpus, Machines())


def _from_ledger(home: Path, wanted: SimulationRequest, traits: Traits, prior: CostModel) -> Scenario:
    location = ServiceLocation(home=home, ledger=wanted.ledger)
    if location.url is None and not ServiceHome(home).ledger.is_file():
        raise InputError(
            [Problem("", None, "--from-ledger", str(home), "no service ran in it", "name its folder")]
        )
    ledger = Ledger(location.url or ServiceHome(home).ledger)
    try:
        found = read_ledger(ledger, traits, str(home))
        cost = fit(ledger.measurements.latest(prior.engine, prior.device), prior)
    finally:
        ledger.close()
    if found.left_out and not wanted.as_json:
        print(f"left out: {plural(found.left_out, 'run')} that engine {traits.name} cannot make")
    return Scenario(found.trace, traits, cost, wanted.gpus, Machines())


def _write(folder: Path, text: str, summaries: Sequence[Summary], *, quiet: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "simulation.json").write_text(text + "\n", encoding="utf-8")
        (folder / "timeline.svg").write_text(picture(summaries), encoding="utf-8")
    except OSError as exc:
        raise StorageError(f"{folder}: cannot be written: {exc.strerror}; name another folder with -o") from exc
    if not quiet:
        print(safe(f"written to {folder}: simulation.json, timeline.svg"))
