"""Estimates time, memory and disk of the runs of a suite."""
