"""From mask files to class indices."""
