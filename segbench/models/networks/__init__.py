"""The networks, one a module, and the encoders that they stand on."""
