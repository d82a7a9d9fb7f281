"""From stored results to leaderboards, tables and figures. Needs no torch."""
