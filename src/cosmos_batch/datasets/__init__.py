"""Datasets of other projects as input and output."""
