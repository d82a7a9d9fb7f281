"""Checkpoints of any tool, fitted into networks."""
