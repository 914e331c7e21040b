"""LeRobot datasets on disk: where the episodes of a camera are, and their metadata."""
