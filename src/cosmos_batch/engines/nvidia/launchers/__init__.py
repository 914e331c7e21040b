"""Launchers of NVIDIA's scripts: local processes, containers, another host over ssh."""
