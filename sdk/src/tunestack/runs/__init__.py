"""Runs: many fine-tuning jobs that are submitted and followed in the account, without a client."""
