"""The constructs of the stack, one per group of resources."""
