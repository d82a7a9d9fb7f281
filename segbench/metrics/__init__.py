"""Confusion matrices of labels and predictions, and the scores computed from them; imports no torch."""

METRICS = {
    "python:": "segbench.metrics.foreign:python_metric",
}
"""Additional metrics that a suite may name; maps name to factory. Every table has the standard scores anyway."""
