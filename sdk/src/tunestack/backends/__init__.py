"""The services that fine-tune models: one package for each provider, behind the protocols in `base`."""
