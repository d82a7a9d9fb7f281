"""Writes trained networks in the formats of other runtimes, and compares their outputs."""
