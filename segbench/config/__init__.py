"""Suites: reads and validates them, and plans their runs. Imports no torch."""

from segbench.config.load import load_suite
from segbench.config.plan import Run, plan
from segbench.config.suite import Suite

__all__ = ["Run", "Suite", "load_suite", "plan"]
