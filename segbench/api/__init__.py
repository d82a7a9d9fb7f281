"""The Python interface, for programs and notebooks."""
