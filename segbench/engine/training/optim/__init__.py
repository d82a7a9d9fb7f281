"""Optimizers, learning-rate schedules and parameter groups. Imports no torch."""
