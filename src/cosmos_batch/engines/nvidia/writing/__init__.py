"""Runs of a launch become the files that NVIDIA's own scripts read."""

from cosmos_batch.engines.nvidia.writing.cosmos3 import write_cosmos3
from cosmos_batch.engines.nvidia.writing.emit import emit
from cosmos_batch.engines.nvidia.writing.transfer1 import write_transfer1
from cosmos_batch.engines.nvidia.writing.transfer25 import write_transfer25
from cosmos_batch.engines.nvidia.writing.written import Sample, There, Written

__all__ = ["Sample", "There", "Written", "emit", "write_cosmos3", "write_transfer1", "write_transfer25"]
