"""Training: the loop and its parts. Imports no torch."""
