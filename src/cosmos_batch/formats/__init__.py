"""Files that people already have become validated runs: native JSON, Transfer1, Transfer2.5 and Cosmos 3 specs."""

from cosmos_batch.formats.load import Reading, read_files, run_from_dict

__all__ = ["Reading", "read_files", "run_from_dict"]
