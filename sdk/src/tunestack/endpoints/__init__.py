"""Endpoints of fine-tuned models: start, stop, invoke."""
