"""Runs a suite: planning, preflight checks, execution and housekeeping. Imports no torch."""
