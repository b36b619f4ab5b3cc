"""The vendors, one module each, behind `tunestack.provider.Provider`."""
