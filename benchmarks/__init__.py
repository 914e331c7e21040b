"""Benchmarks, each run as `python -m benchmarks.<name>`; each prints a table."""
