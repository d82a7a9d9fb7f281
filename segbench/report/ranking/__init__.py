"""Ranks stored runs, with intervals and caveats."""
