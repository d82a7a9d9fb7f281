"""Decodes mask files to class indices."""
