"""`python -m tests.support.cli_launcher ...`: the cosmos-batch command with the simulated engine.

REPLAY_STEP is the real time of a denoising step in seconds; REPLAY_FAULTS names runs and their faults,
"a=FAIL b=BLOCK".
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from cosmos_batch.cli.app import main
from cosmos_batch.engines.base import EngineSource, Loaded
from cosmos_batch.engines.registry import EngineChoice, Preview
from cosmos_batch.engines.simulated import (
    Clock,
    Fault,
    RealClock,
    SimulatedBehaviour,
    SimulatedEngine,
    Trouble,
    Write,
)
from cosmos_batch.errors import PlanError
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits
from tests.support.dispatch_world import PRIOR, TRAITS, write_answer


class SimulatedEngines:
    """Offers the simulated engine as the default, and no engine by name."""

    def __init__(
        self,
        traits: Traits = TRAITS,
        prior: CostModel = PRIOR,
        write: Write = write_answer,
        clock: Clock | None = None,
        lag: int = 1,
    ) -> None:
        """`write`: writes a run's outputs; `clock`: that of this machine unless given.

        `lag`: steps for which a denoised run is being finished.
        """
        self._preview = Preview(traits, prior)
        self._write = write
        self._clock = clock or RealClock()
        self._lag = lag

    def preview(self, choice: EngineChoice, *, executes: bool = False) -> Preview:  # noqa: ARG002 - the protocol
        """The traits and the costs."""
        if choice.engine is not None:
            raise PlanError(f"engine {choice.engine!r} is not known")
        return self._preview

    def load(self, choice: EngineChoice, controls: Iterable[str]) -> Loaded:
        """A simulated engine, configured by the environment."""
        assert choice.engine is None
        traits = self._preview.traits
        assert set(controls) <= traits.controls
        pairs = (pair.split("=") for pair in os.environ.get("REPLAY_FAULTS", "").split())
        faults = {run_id: Fault(Trouble[trouble]) for run_id, trouble in pairs}
        step = float(os.environ.get("REPLAY_STEP", "0"))
        script = SimulatedBehaviour(
            self._write, load_seconds=0.0, step_seconds=lambda _runs: step, lag=self._lag, faults=faults
        )
        return Loaded(SimulatedEngine(traits, script, self._clock), self._preview.prior)

    def source(self, choice: EngineChoice, controls: Iterable[str]) -> EngineSource:
        """A simulated engine, which needs no loading."""
        return self.load(choice, controls)


if __name__ == "__main__":
    main(SimulatedEngines())
