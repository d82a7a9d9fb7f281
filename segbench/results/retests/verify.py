"""Verifies stored tests without the data, and tells whether two of them have the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segbench.errors import StoreError
from segbench.results.arrays.matrices import ImageMatrices, load_matrices
from segbench.results.record import Status
from segbench.results.retests.store import ROBUSTNESS_FOLDER, read_retest
from segbench.results.verify import refuse_bomb


class VerifiedTest(NamedTuple):
    """A stored test.

    Attributes:
        identity: The identity of the run that trained the network.
        completed: Whether it has a result.
        facts: What does not depend on when and where it was done.
        matrices: The confusion matrices of a completed test.
    """

    identity: str
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


def verified_retest(file: Path) -> VerifiedTest:
    """Read a test of a network under another condition, ``<run id>/<condition>.json``, with its matrices.

    Raises:
        StoreError: It is damaged, or of another run or condition than its path says.
    """
    found = read_retest(file)
    record = found.record
    if (record.run, record.condition.key) != (file.parent.name, file.stem):
        raise StoreError(f"{file}: is the record of {record.run}, {record.condition.key}")
    facts = record.model_dump(mode="json", exclude={"seconds", "environment"})
    if record.status is not Status.COMPLETED:
        return VerifiedTest(record.identity, completed=False, facts=facts, matrices=None)
    refuse_bomb(found.matrices_file)
    try:
        matrices = load_matrices(found.matrices_file)
    except StoreError as error:
        raise StoreError(f"{str(error).partition('; delete')[0]}; 'segbench robustness' does it again") from None
    if len(matrices.names) != record.images:
        raise StoreError(f"{found.matrices_file}: holds {len(matrices.names)} images; its record says {record.images}")
    return VerifiedTest(record.identity, completed=True, facts=facts, matrices=matrices)


RETESTS: Mapping[str, Callable[[Path], VerifiedTest]] = {ROBUSTNESS_FOLDER: verified_retest}
"""By their folder in a suite's, the kinds of further tests: how a record at ``<run id>/<name>.json`` is verified.

The arrays of a test lie beside its record, as ``<name>.npz``. Archives pack and merge every kind that is listed here.
"""


def packed_files(folder: Path) -> list[Path]:
    """Return the records of a kind of further tests, in the order of their paths; leftovers of writing are none."""
    return sorted(file for file in folder.glob("*/*.json") if not file.name.startswith("."))
