"""LeRobot datasets of the layouts v2.1 and v3: episodes in, datasets with a replaced camera out."""
