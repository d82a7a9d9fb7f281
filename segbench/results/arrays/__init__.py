"""Stored arrays: confusion matrices, details of images, the gallery."""
