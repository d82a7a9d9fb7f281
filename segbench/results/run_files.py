"""The files of a run's folder: their names and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.config.files import read_digest
from segbench.config.plan import digest

RECORD_FILE = "run.json"
CONFUSION_FILE = "confusion.npz"
DETAILS_FILE = "details.npz"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.zip"
SAMPLES_FOLDER = "samples"
WEIGHTS_FILE = "checkpoint.safetensors"

SCORED_FILES = (CONFUSION_FILE, DETAILS_FILE, HISTORY_FILE)
"""Files that tables are made from; a run without one that it once had is damaged. Others, such as weights, may go."""
CHECKSUMS = "checksums"


def checksums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a run's folder but its record, by path within the folder.

    Raises:
        OSError: A file cannot be read.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / RECORD_FILE)
    return {path.relative_to(folder).as_posix(): read_digest(path) for path in files}


def record_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's JSON document, without its checksums.

    Raises:
        ValueError: The document holds NaN or infinity, which JSON lacks.
    """
    return digest({key: value for key, value in document.items() if key != CHECKSUMS})
