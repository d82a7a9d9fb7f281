"""Shared by several commands: options, suites, data, masks."""
