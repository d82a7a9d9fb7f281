"""Where tests under corruption and on other data are stored: ``<suite>/robustness/<run id>/<condition>.json``."""

from __future__ import annotations

from segbench.results.retests.beside import StoredTest, TestStore
from segbench.results.retests.record import RETEST_SCHEMA_VERSION, RetestRecord

ROBUSTNESS = TestStore("robustness", RetestRecord, RETEST_SCHEMA_VERSION, "robustness")

StoredRetest = StoredTest[RetestRecord]
