"""Checks networks before a long run: correctness, reproducibility, speed and memory."""
