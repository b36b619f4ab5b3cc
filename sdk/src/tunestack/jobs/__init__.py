"""Fine-tuning jobs: check the arguments, submit, follow."""
