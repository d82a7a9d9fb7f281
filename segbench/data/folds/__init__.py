"""Cross-validation: folds and groups."""
