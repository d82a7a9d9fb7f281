"""Optimizers, learning-rate schedules and parameter groups. Importing this imports no torch."""
