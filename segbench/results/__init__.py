"""What a run leaves behind: its record, its files and the environment it ran in. Needs no torch."""
