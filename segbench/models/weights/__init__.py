"""Loads checkpoints of any tool into networks."""
