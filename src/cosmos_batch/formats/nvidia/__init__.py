"""Formats of NVIDIA's specs: Transfer1, Transfer2.5, Cosmos 3."""
