"""Readers of input files: native JSON, and Transfer1, Transfer2.5 and Cosmos 3 specs, to validated runs."""

from cosmos_batch.formats.load import LoadedRuns, read_files, run_from_dict

__all__ = ["LoadedRuns", "read_files", "run_from_dict"]
