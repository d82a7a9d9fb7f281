"""Trained networks in other runtimes and forms: what they score there, and what they cost."""
