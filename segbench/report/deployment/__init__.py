"""Trained networks in other runtimes and forms: what they lose and gain, and whether that changes their order."""
