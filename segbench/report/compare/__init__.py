"""Two sets of stored runs against each other."""
