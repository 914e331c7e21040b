"""`python -m tests.support.cli_launcher ...`: the cosmos-batch command with the simulated engine.

REPLAY_STEP is the real time of a denoising step in seconds; REPLAY_FAULTS names runs and their faults,
"a=FAIL b=BLOCK".
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from cosmos_batch.cli.app import main
from cosmos_batch.engines.registry import EngineChoice, Loaded, Preview
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine, Trouble
from cosmos_batch.errors import PlanError
from tests.support.dispatch_world import PRIOR, TRAITS, write_answer


class RealClock:
    """Real time."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)


class SimulatedEngines:
    """Offers the simulated engine as the default, and no engine by name."""

    def preview(self, choice: EngineChoice, *, executes: bool = False) -> Preview:  # noqa: ARG002 - the protocol
        """The traits of the tests' world."""
        if choice.engine is not None:
            raise PlanError(f"engine {choice.engine!r} is not known")
        return Preview(TRAITS, PRIOR)

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """A simulated engine, configured by the environment."""
        assert choice.engine is None
        assert set(controls) <= TRAITS.controls
        pairs = (pair.split("=") for pair in os.environ.get("REPLAY_FAULTS", "").split())
        faults = {run_id: Fault(Trouble[trouble]) for run_id, trouble in pairs}
        step = float(os.environ.get("REPLAY_STEP", "0"))
        script = SimulatedBehaviour(
            write_answer, load_seconds=0.0, step_seconds=lambda _runs: step, lag=1, faults=faults
        )
        return Loaded(SimulatedEngine(TRAITS, script, RealClock()), PRIOR)


if __name__ == "__main__":
    main(SimulatedEngines())
