"""Training losses; computed in float32 and ignoring void pixels. Imports no torch."""
