"""Checks what data sets hold: problems and notes."""
