"""The registry of NVIDIA's scripts. Adding one is a folder beside this file, and a line in `SCRIPTS`."""

from __future__ import annotations

from collections.abc import Mapping

from cosmos_batch.engines.nvidia.cosmos3.script import SCRIPT as COSMOS3
from cosmos_batch.engines.nvidia.script import Script
from cosmos_batch.engines.nvidia.transfer1.script import SCRIPT as TRANSFER1
from cosmos_batch.engines.nvidia.transfer25.distilled import SCRIPT as TRANSFER25_DISTILLED
from cosmos_batch.engines.nvidia.transfer25.script import SCRIPT as TRANSFER25

_ALL = (TRANSFER1, TRANSFER25, TRANSFER25_DISTILLED, COSMOS3)
SCRIPTS: Mapping[str, Script] = {script.name: script for script in _ALL}
"""The scripts by the engine's name."""
