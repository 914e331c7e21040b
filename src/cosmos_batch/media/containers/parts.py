"""The bound on the parts of a file that are followed."""

MOST_PARTS = 1_000_000
"""Elements, boxes, chunks or tags; a file with more of them, which may be made to be slow, counts as whole."""
