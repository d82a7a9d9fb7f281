"""Stored runs as tables, and which of them are comparable."""
