"""Stores which splits passed the data check, and the counts found in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.results.files import replace_text

CHECKS_FILE = "data.json"


def read_checks(folder: Path) -> dict[str, Any]:
    """Return the findings of each split that passed the check, by the split's key."""
    try:
        found = json.loads((folder / CHECKS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the splits are checked again, which only costs a little time
    return found if isinstance(found, dict) else {}


def add_checks(folder: Path, found: Mapping[str, Any]) -> None:
    """Store the findings of further splits.

    Raises:
        StoreError: The folder cannot be written.
    """
    if found:
        text = json.dumps(read_checks(folder) | dict(found), indent=2, ensure_ascii=False)
        replace_text(folder / CHECKS_FILE, text + "\n")
