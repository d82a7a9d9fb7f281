"""Evaluation: from a trained network to predictions and confusion matrices."""
