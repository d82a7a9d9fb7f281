"""Training: the loop, and what it is made of. Importing this imports no torch."""
