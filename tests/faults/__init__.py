"""Faults of the disk under a running server, and data that is damaged before it starts."""
