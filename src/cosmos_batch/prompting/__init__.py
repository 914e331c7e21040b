"""Prompts written by a model: captions of clips, and their variations, from any OpenAI-compatible server."""
