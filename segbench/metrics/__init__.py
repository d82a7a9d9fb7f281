"""From labels and predictions to confusion matrices, and from matrices to scores; importing it imports no torch."""

METRICS = {
    "python:": "segbench.metrics.foreign:python_metric",
}
"""Metrics that a suite may name beside the scores that every table has: name -> factory."""
