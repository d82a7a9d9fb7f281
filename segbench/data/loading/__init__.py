"""Transforms, batches and loaders."""
