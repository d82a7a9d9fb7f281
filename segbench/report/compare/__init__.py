"""Comparison of two sets of stored runs."""
