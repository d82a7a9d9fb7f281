"""Where further tests are stored: ``<suite>/robustness/<run id>/<condition>.json`` with ``<condition>.npz``.

The record is written after its matrices, so that a file ``.json`` means that both are whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from segbench.errors import StoreError
from segbench.results.arrays.matrices import ImageMatrices, load_matrices, save_matrices
from segbench.results.files import checked_name, replace_text, storing, temporary_path
from segbench.results.record import Status
from segbench.results.retests.record import RETEST_SCHEMA_VERSION, RetestRecord

ROBUSTNESS_FOLDER = "robustness"


@dataclass(frozen=True)
class StoredRetest:
    """One record with the place of its matrices.

    Attributes:
        record: What was found.
        matrices_file: Where the confusion matrices are, for a completed one.
    """

    record: RetestRecord
    matrices_file: Path

    def matrices(self) -> ImageMatrices:
        """Return the confusion matrices.

        Raises:
            StoreError: They cannot be read.
        """
        return load_matrices(self.matrices_file)


@dataclass(frozen=True)
class FoundRetests:
    """What lies in a suite's folder of further tests.

    Attributes:
        tests: Those that can be read, by run and condition.
        problems: Why others cannot, a sentence each.
    """

    tests: tuple[StoredRetest, ...]
    problems: tuple[str, ...]


def retests_folder(results: Path, suite: str) -> Path:
    """Return the folder of a suite's further tests."""
    return results / checked_name(suite, "suite") / ROBUSTNESS_FOLDER


def write_retest(folder: Path, record: RetestRecord, matrices: ImageMatrices | None) -> None:
    """Store one test; an earlier one of the same run and condition is replaced.

    Args:
        folder: The suite's folder of further tests.
        record: What was found.
        matrices: Of a completed test, one matrix for each image.

    Raises:
        StoreError: It cannot be written.
    """
    target = folder / checked_name(record.run, "run") / f"{checked_name(record.condition.key, 'condition')}.json"
    with storing(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    if matrices is not None:
        file = target.with_suffix(".npz")
        temporary = temporary_path(file)
        try:
            save_matrices(temporary, matrices)
            with storing(folder):
                temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    replace_text(target, record.model_dump_json(indent=1) + "\n")


def read_retest(file: Path) -> StoredRetest:
    """Read one test's record.

    Raises:
        StoreError: It is missing, damaged or of a newer segbench, or its matrices are missing.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        version = document["schema_version"]
        if type(version) is int and version > RETEST_SCHEMA_VERSION:
            raise StoreError(
                f"{file}: was written by a newer segbench (schema {version}, this one reads {RETEST_SCHEMA_VERSION}); "
                "install that one to read it"
            )
        found = StoredRetest(RetestRecord.model_validate(document), file.with_suffix(".npz"))
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        first = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
        raise StoreError(f"{file}: is no record of a test ({first}); 'segbench robustness' does it again") from None
    if found.record.status is Status.COMPLETED and not found.matrices_file.is_file():
        raise StoreError(f"{found.matrices_file}: is missing; 'segbench robustness' does it again")
    return found


def scan_retests(folder: Path) -> FoundRetests:
    """Read all tests of a suite's folder; an absent folder has none."""
    tests, problems = [], []
    for file in sorted(folder.glob("*/*.json")):
        if file.name.startswith("."):
            continue
        try:
            tests.append(read_retest(file))
        except StoreError as error:
            problems.append(str(error))
    return FoundRetests(tuple(tests), tuple(problems))
