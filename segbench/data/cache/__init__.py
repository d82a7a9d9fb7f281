"""Caches of decoded images and digests."""
