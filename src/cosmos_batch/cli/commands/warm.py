"""`cosmos-batch warm`: keep on disk what the first run of a process would otherwise wait for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.cli.commands.plan import usable
from cosmos_batch.cli.options import IN_PROCESS_ENGINES
from cosmos_batch.cli.render.console import console
from cosmos_batch.cli.render.text import safe
from cosmos_batch.engines.inprocess.engine import InProcessEngine
from cosmos_batch.engines.registry import EngineChoice, Engines, cache_folder
from cosmos_batch.errors import PlanError
from cosmos_batch.requests import gather


def warm_command(engines: Engines, choice: EngineChoice, files: Sequence[Path], *, skip_invalid: bool) -> int:
    """Compile kernels, read the prompts of files, and print the time; returns the exit code."""
    begin = time.monotonic()
    prompts: list[str] = []
    if files:
        preview = engines.preview(choice, executes=True)
        requests = gather(files, preview.traits, preview.problems)
        if not usable(requests, skip_invalid):
            return 2
        resolved = requests.resolved(preview.traits)
        prompts = list(dict.fromkeys(text for run in resolved for text in run.prompts))
    loaded = engines.load(choice, sorted(engines.preview(choice).traits.controls))
    if not isinstance(loaded.engine, InProcessEngine):
        raise PlanError(f"engine {choice.name!r} keeps nothing; {' and '.join(IN_PROCESS_ENGINES)} do")
    loaded.engine.warm(loaded.prior, prompts)
    read_ = f", {len(prompts)} prompts read" if prompts else ""
    out = console()
    out.print(f"kernels compiled{read_}: {time.monotonic() - begin:.1f} s", highlight=False)
    out.print(f"kept in {safe(str(cache_folder()))}", highlight=False)
    return 0
