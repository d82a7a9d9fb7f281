"""Trained networks, tested again: on corrupted images, on other data, on what they were trained on."""
