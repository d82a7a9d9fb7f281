"""Where tests under corruption and on other data are stored: ``<suite>/robustness/<run id>/<condition>.json``."""

from __future__ import annotations

from pathlib import Path

from segbench.results.files import checked_name
from segbench.results.retests.beside import FoundTests, StoredTest, TestStore
from segbench.results.retests.record import RETEST_SCHEMA_VERSION, RetestRecord

ROBUSTNESS_FOLDER = "robustness"

RETESTS = TestStore(ROBUSTNESS_FOLDER, RetestRecord, RETEST_SCHEMA_VERSION, "robustness")

StoredRetest = StoredTest[RetestRecord]
FoundRetests = FoundTests[RetestRecord]

write_retest, read_retest, scan_retests = RETESTS.write, RETESTS.read, RETESTS.scan


def retests_folder(results: Path, suite: str) -> Path:
    """Return the folder of a suite's further tests."""
    return results / checked_name(suite, "suite") / ROBUSTNESS_FOLDER
