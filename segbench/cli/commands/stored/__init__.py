"""The commands about stored results."""
