"""Data sets: public ones by name, and a person's own folder."""
