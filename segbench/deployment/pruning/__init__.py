"""Makes networks smaller by taking channels out, and trains them on for a little."""
