"""Data sets: public ones by name, and the user's own folder."""
