"""`python -m tests.support.distilled_launcher ...`: the command with a simulated engine of a distilled model."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.cli.app import main
from cosmos_batch.engines.inprocess.transfer25.distilled import distilled_traits
from cosmos_batch.run import Sampling
from tests.support.cli_launcher import SimulatedEngines
from tests.support.dispatch_world import TRAITS

OWN = Sampling(resolution="32", fps=8.0)

if __name__ == "__main__":
    main(SimulatedEngines(distilled_traits(replace(TRAITS, defaults=OWN), chunk_frames=5)))
