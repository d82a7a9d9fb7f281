"""Trained networks in other runtimes and in smaller forms: exported, quantised, pruned."""
