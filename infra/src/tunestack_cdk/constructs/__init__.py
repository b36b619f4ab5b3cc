"""The pieces of the stack, one resource group a file."""
