"""Losses: what training makes small, each in float32 and blind to void pixels. Importing this imports no torch."""
