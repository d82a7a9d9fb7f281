"""The faults that ``faults.py`` injects, by what breaks, and what it looks for after each."""
