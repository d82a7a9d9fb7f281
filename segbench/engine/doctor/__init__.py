"""Tries networks before a long run: are their numbers right, do they repeat, how fast are they, what do they take."""
