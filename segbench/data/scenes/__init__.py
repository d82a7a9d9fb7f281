"""The embedded data set of composed scenes."""
