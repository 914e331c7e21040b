"""Sweeps: one YAML or JSON file that says what varies, and the runs that it makes."""
