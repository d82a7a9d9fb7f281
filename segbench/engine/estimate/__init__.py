"""Estimates what a suite will take."""
