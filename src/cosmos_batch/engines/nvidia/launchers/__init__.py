"""Starting NVIDIA's scripts: as a process here, in a container, or on another host over ssh."""
