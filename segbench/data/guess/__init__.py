"""Guesses the layout of a user's data folder, for a first suite."""
