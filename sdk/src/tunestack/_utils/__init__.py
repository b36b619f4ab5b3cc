"""Helpers that know nothing of fine-tuning."""
