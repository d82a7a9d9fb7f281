"""Stores speed records in ``<suite>/speed/<case-id>.json``, written atomically."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError
from segbench.results.files import checked_name, replace_text
from segbench.results.hashes import read_sealed, sealed_text
from segbench.results.speed.record import SPEED_SCHEMA_VERSION, SpeedRecord

SPEED_FOLDER = "speed"

_AGAIN = "measure again with 'segbench speed'"


def speed_folder(results: Path, suite: str) -> Path:
    """Return the folder of a suite's speed records."""
    return results / checked_name(suite, "suite") / SPEED_FOLDER


def write_speed(folder: Path, record: SpeedRecord) -> Path:
    """Store one case; an earlier record of the same case is replaced.

    Raises:
        StoreError: The file cannot be written.
    """
    file = folder / f"{record.id}.json"
    replace_text(file, sealed_text(record))
    return file


def read_speed(file: Path) -> SpeedRecord:
    """Read one case.

    Raises:
        StoreError: The file is missing, damaged, edited or of a newer segbench.
    """
    return read_sealed(file, SpeedRecord, newest=SPEED_SCHEMA_VERSION, what="speed record", again=_AGAIN)


@dataclass(frozen=True)
class FoundSpeeds:
    """The content of a suite's speed folder.

    Attributes:
        records: All readable cases, ordered by file name.
        problems: Why other files cannot be read, a sentence each.
    """

    records: tuple[SpeedRecord, ...]
    problems: tuple[str, ...]


def scan_speeds(folder: Path) -> FoundSpeeds:
    """Read all cases of a suite's speed folder; none if there is no folder."""
    records, problems = [], []
    for file in sorted(folder.glob("*.json")):
        try:
            records.append(read_speed(file))
        except StoreError as error:
            problems.append(str(error))
    return FoundSpeeds(tuple(records), tuple(problems))
