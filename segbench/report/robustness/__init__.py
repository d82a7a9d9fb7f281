"""Trained networks under other conditions: how much they lose, and whether that changes their order."""
