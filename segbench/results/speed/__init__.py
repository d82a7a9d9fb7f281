"""Stored speed records and baselines."""
