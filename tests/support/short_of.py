"""What tests of data efficiency share: stored networks of which something is not known."""

from __future__ import annotations

NOT_KNOWN = [
    ({"images": 4}, "4 test images are too few for intervals, which need 10"),
    ({"seeds": 1}, "95 % intervals of these weights; one seed: variation between trainings is not included"),
]
"""How few test images or seeds are stored, and the reason that is then given."""
