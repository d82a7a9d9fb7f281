"""Records of further tests of stored runs, each beside its confusion matrices: ``<folder>/<run id>/<key>.json``.

The record is written after its matrices, so that a file ``.json`` means that both are whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from segbench.config.files import read_digest
from segbench.errors import StoreError
from segbench.results.arrays.matrices import ImageMatrices, load_matrices, save_matrices
from segbench.results.files import checked_name, replace_text, replacing, storing
from segbench.results.hashes import read_sealed, sealed_text
from segbench.results.record import Count, Facts, RunRecord, Status


class Keyed(Protocol):
    """What a network was tested under."""

    @property
    def key(self) -> str:
        """Names its files."""

    @property
    def kind(self) -> str:
        """Tells tests on the run's own test images from others."""


class TestRecord(Facts):
    """What all further tests of a run keep."""

    __test__ = False

    schema_version: int
    run: str
    """Id of the run that trained the network."""
    identity: str
    """Its identity, by which a run that was done anew is told from this one."""
    label: str
    seed: int
    weights: str | None = None
    """SHA-256 of the file of weights that was tested; a run that was trained anew has others and the same identity."""
    matrices_digest: str | None = None
    """SHA-256 of the file of matrices beside this record; None without one."""
    fingerprint: str
    """Hash of what was asked: the data, what was done to it, the share of the images."""
    status: Status
    reason: str | None = None
    """Why there are no matrices."""
    images: Count = 0
    test_digest: str | None = None
    """Hash of all that was fed, in order."""

    measured: ClassVar[frozenset[str]] = frozenset({"seconds", "environment", "matrices_digest"})
    """Fields that depend on when and where the test was done; two tests may differ in them and agree."""

    def is_of(self, run: RunRecord) -> bool:
        """Return whether this is a test of a run's network as it is now; unknown weights are taken for the same."""
        same = None in (self.weights, run.trained_weights) or self.weights == run.trained_weights
        return same and self.identity == run.identity

    @property
    def under(self) -> Keyed:
        """What it was tested under."""
        raise NotImplementedError


R = TypeVar("R", bound=TestRecord)


@dataclass(frozen=True)
class StoredTest(Generic[R]):
    """One record with the place of its matrices.

    Attributes:
        record: What was found.
        matrices_file: Where the confusion matrices are, for a completed one.
    """

    record: R
    matrices_file: Path

    def matrices(self) -> ImageMatrices:
        """Return the confusion matrices.

        Raises:
            StoreError: They cannot be read.
        """
        return load_matrices(self.matrices_file)


@dataclass(frozen=True)
class FoundTests(Generic[R]):
    """What lies in a suite's folder of further tests.

    Attributes:
        tests: Those that can be read, by run and key.
        problems: Why others cannot, a sentence each.
    """

    tests: tuple[StoredTest[R], ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class TestStore(Generic[R]):
    """Further tests of one kind.

    Attributes:
        folder: Name of their folder in that of a suite.
        kind: The class of their records.
        version: The newest schema version that can be read.
        command: The command that does them again.
    """

    __test__ = False

    folder: str
    kind: type[R]
    version: int
    command: str

    @property
    def again(self) -> str:
        """How a damaged test is done again, for messages."""
        return f"'segbench {self.command}' does it again"

    def write(self, folder: Path, record: R, matrices: ImageMatrices | None) -> R:
        """Store one test; an earlier one of the same run and key is replaced.

        Args:
            folder: The suite's folder of these tests.
            record: What was found.
            matrices: Of a completed test, one matrix for each image.

        Returns:
            The record as it is stored, with the digest of the matrices.

        Raises:
            StoreError: It cannot be written.
        """
        target = folder / checked_name(record.run, "run") / f"{checked_name(record.under.key, 'test')}.json"
        with storing(folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
        if matrices is not None:
            file = target.with_suffix(".npz")
            with storing(folder), replacing(file) as temporary:
                save_matrices(temporary, matrices)
            record = record.model_copy(update={"matrices_digest": read_digest(file)})
        replace_text(target, sealed_text(record))
        return record

    def remove(self, folder: Path, run: str, key: str) -> None:
        """Remove one test, if it is there.

        Raises:
            StoreError: It cannot be removed.
        """
        record = folder / checked_name(run, "run") / f"{checked_name(key, 'test')}.json"
        with storing(folder):
            record.unlink(missing_ok=True)
            record.with_suffix(".npz").unlink(missing_ok=True)

    def read(self, file: Path) -> StoredTest[R]:
        """Read one test's record.

        Raises:
            StoreError: It is missing, damaged, edited or of a newer segbench, or its matrices are missing or damaged.
        """
        record = read_sealed(file, self.kind, newest=self.version, what="record of a test", again=self.again)
        found = StoredTest(record, file.with_suffix(".npz"))
        if found.record.status is Status.COMPLETED and not found.matrices_file.is_file():
            raise StoreError(f"{found.matrices_file}: is missing; {self.again}")
        known = found.record.matrices_digest
        if found.record.status is Status.COMPLETED and known not in (None, read_digest(found.matrices_file)):
            raise StoreError(f"{found.matrices_file}: is damaged: it was changed after it was written; {self.again}")
        return found

    def scan(self, folder: Path) -> FoundTests[R]:
        """Read all tests of a suite's folder of them; an absent folder has none."""
        tests, problems = [], []
        for file in sorted(folder.glob("*/*.json")):
            if file.name.startswith(".") or file.parent.name.startswith("."):
                continue
            try:
                tests.append(self.read(file))
            except StoreError as error:
                problems.append(str(error))
        return FoundTests(tuple(tests), tuple(problems))
