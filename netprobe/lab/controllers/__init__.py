"""The control loops that make a cluster out of stored objects."""
