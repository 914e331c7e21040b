"""Files that people already have become validated runs: native JSON, Transfer1 and Transfer2.5 specs."""

from cosmos_batch.reading.reader import Reading, read_files, run_from_dict

__all__ = ["Reading", "read_files", "run_from_dict"]
