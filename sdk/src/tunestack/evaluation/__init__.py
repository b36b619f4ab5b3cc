"""Evaluation: models answer the prompts of a held-out set, and metrics compare their answers with the expected ones."""
