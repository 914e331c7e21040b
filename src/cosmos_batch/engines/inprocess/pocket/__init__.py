"""The pocket model: a small Transfer2.5 network, trained on rendered scenes, for demonstration."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
"""Its folder, in the diffusers layout."""
