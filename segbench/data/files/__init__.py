"""Finds the files of a split: folders, lists, and pairing of images and masks."""
