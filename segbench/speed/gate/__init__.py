"""The regression gate: decides whether code became slower. Imports no torch."""
