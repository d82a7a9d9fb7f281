"""Runs a suite: what is planned, checked, chosen and kept. Importing this imports no torch."""
