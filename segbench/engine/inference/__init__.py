"""Applies stored checkpoints to a split or to image files."""
