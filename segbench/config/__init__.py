"""Suites: what a person writes, checked, and the runs that follow from it. Needs no torch."""

from segbench.config.load import load_suite
from segbench.config.plan import Run, plan
from segbench.config.suite import Suite

__all__ = ["Run", "Suite", "load_suite", "plan"]
