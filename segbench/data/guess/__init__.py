"""Guesses how a person's folder is laid out, for a first suite."""
