"""`cosmos-batch doctor`: what of this machine works, and what to do about the rest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.diagnosis import findings
from cosmos_batch.engines.registry import EngineChoice, Engines


def doctor_command(engines: Engines, choice: EngineChoice, output: Path | None, *, as_json: bool) -> int:
    """Print a line for each part of the machine; returns the exit code, 1 with a fault."""
    found = findings(engines, choice, output)
    faults = sum(finding.state == "fault" for finding in found)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], ensure_ascii=False))
        return 1 if faults else 0
    width = max(len(finding.part) for finding in found)
    for finding in found:
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        print(safe(f"{finding.state:<5}  {finding.part:<{width}}  {finding.found}{remedy}"))
    print(plural(faults, "fault"))
    return 1 if faults else 0
