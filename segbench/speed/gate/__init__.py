"""Decides whether something became slower. Importing this imports no torch."""
