"""Measures speed, memory and cost, and decides whether it got worse."""
