"""Trained networks that were tested again: under corruption, on other data."""
