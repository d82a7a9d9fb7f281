"""Archives of results: packed, verified, merged."""
