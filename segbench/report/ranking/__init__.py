"""From stored runs to ranked rows, with their intervals and caveats."""
