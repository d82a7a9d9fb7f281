"""The further tests of trained networks that archives carry: verified without the data, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segbench.errors import StoreError
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.record import Status
from segbench.results.retests.beside import TestRecord, TestStore
from segbench.results.retests.store import ROBUSTNESS
from segbench.results.verify import refuse_bomb

FURTHER_TESTS: Mapping[str, TestStore[Any]] = {store.folder: store for store in (ROBUSTNESS, DEPLOYMENTS)}
"""By their folder in a suite's, the kinds of further tests; archives pack and merge every kind that is listed here."""


class VerifiedTest(NamedTuple):
    """A stored test.

    Attributes:
        record: Its record.
        completed: Whether it has a result.
        facts: What does not depend on when and where it was done.
        matrices: The confusion matrices of a completed test.
    """

    record: TestRecord
    completed: bool
    facts: Mapping[str, Any]
    matrices: ImageMatrices | None

    def agrees(self, other: VerifiedTest) -> bool:
        """Return whether both have the same result."""
        if self.facts != other.facts or (self.matrices is None) != (other.matrices is None):
            return False
        if self.matrices is None or other.matrices is None:
            return True
        return self.matrices.names == other.matrices.names and np.array_equal(
            self.matrices.matrices, other.matrices.matrices
        )


def verified_test(kind: str, file: Path) -> VerifiedTest:
    """Read a further test of a network, ``<run id>/<key>.json``, with its matrices.

    Args:
        kind: The folder of its kind in a suite's, such as ``robustness``.
        file: Its record.

    Raises:
        StoreError: It is damaged, or of another run or key than its path says.
    """
    store = FURTHER_TESTS[kind]
    found = store.read(file)
    record = found.record
    if (record.run, record.under.key) != (file.parent.name, file.stem):
        raise StoreError(f"{file}: is the record of {record.run}, {record.under.key}")
    facts = record.model_dump(mode="json", exclude=set(record.measured))
    if record.status is not Status.COMPLETED:
        return VerifiedTest(record, completed=False, facts=facts, matrices=None)
    refuse_bomb(found.matrices_file)
    try:
        matrices = found.matrices()
    except StoreError as error:
        raise StoreError(f"{str(error).partition('; delete')[0]}; {store.again}") from None
    if len(matrices.names) != record.images:
        raise StoreError(f"{found.matrices_file}: holds {len(matrices.names)} images; its record says {record.images}")
    return VerifiedTest(record, completed=True, facts=facts, matrices=matrices)


def packed_files(folder: Path) -> list[Path]:
    """Return the records of a kind of further tests, in the order of their paths; leftovers of writing are none."""
    return sorted(file for file in folder.glob("*/*.json") if not file.name.startswith("."))
