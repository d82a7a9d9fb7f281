"""Runtimes: each prepares a network as files, and runs these as a module that takes and returns tensors."""
