"""Reads YAML files and Python values into mappings, with helpful errors."""
