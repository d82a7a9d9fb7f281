"""Stored results of runs: records, files and environments. Imports no torch."""
