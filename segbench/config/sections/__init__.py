"""The sections of a suite."""
