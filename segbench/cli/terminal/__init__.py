"""Output of commands: tables, progress, messages."""
