"""Stores speed records in ``<suite>/speed/<case-id>.json``, written atomically."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError
from segbench.results.files import checked_name, replace_text
from segbench.results.hashes import EDITED, is_edited, sealed_text, without_checksum
from segbench.results.speed.record import SPEED_SCHEMA_VERSION, SpeedRecord
from segbench.results.wording import first_problem, newer_schema

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
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if problem := newer_schema(document, SPEED_SCHEMA_VERSION):
            raise StoreError(f"{file}: {problem}")
        if is_edited(document):
            raise StoreError(f"{file}: {EDITED}; {_AGAIN}")
        return SpeedRecord.model_validate(without_checksum(document))
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{file}: is no speed record ({first_problem(error)}); {_AGAIN}") from None


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
