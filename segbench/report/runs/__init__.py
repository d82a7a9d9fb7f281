"""Loads stored runs as tables and decides which of them are comparable."""
