"""The embedded model: a small Transfer2.5 network, trained on a world that renders itself, for demonstration."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
"""Its folder, in the diffusers layout."""
