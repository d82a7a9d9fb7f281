"""Verifies stored runs: recomputes what their files, and the data where it lies here, allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import IGNORE_INDEX, SegmentationDataset
from segbench.engine.evaluation.recount import count_predictions
from segbench.engine.evaluation.tested_splits import TestedSplits
from segbench.errors import SegbenchError, StoreError
from segbench.results.archive.further_tests import FURTHER_TESTS, verified_test
from segbench.results.arrays.matrices import ImageMatrices, load_matrices
from segbench.results.find_runs import FoundRun
from segbench.results.hashes import identities
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, PREDICTIONS_FILE
from segbench.results.verify import verified_record

Progress = Callable[[int, int], None]


class Check(StrEnum):
    """What is verified of a run."""

    RECORD = "record"
    """The hashes of its recipe (protocol id), and of network, recipe and seed (identity)."""
    FILES = "files"
    """The checksum of every file; that arrays can be read and belong to the record."""
    TESTS = "further tests"
    """Records and matrices of tests under corruption, on other data and in other runtimes."""
    DATA = "data"
    """The hash of the test images and labels here."""
    LABELS = "labels"
    """The pixels of each class in each label here, against the rows of the stored matrices."""
    PREDICTIONS = "predictions"
    """Kept predictions, counted against the labels here, against the stored matrices."""


class Verdict(StrEnum):
    """The outcome of a check."""

    VERIFIED = "verified"
    WRONG = "wrong"
    UNKNOWN = "not checked"


@dataclass(frozen=True)
class Finding:
    """The outcome of a check, with the reason where it is not verified."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Verified:
    """What was found of a run.

    Attributes:
        folder: The run's folder.
        record: Its record; None if it cannot be read.
        findings: The outcome of each check.
    """

    folder: Path
    record: RunRecord | None
    findings: Mapping[Check, Finding]

    @property
    def wrong(self) -> dict[Check, str]:
        """The checks that failed, with their reasons."""
        return {check: found.reason for check, found in self.findings.items() if found.verdict is Verdict.WRONG}


_VERIFIED = Finding(Verdict.VERIFIED)


class Verifier:
    """Verifies runs; opens each test split and reads its labels once.

    Args:
        options: Options with the location of the data, such as ``root``, which records do not contain.
        with_data: Whether to look at data that lies here.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, *, with_data: bool = True) -> None:
        self.with_data = with_data
        self._splits = TestedSplits(options)
        self._fingerprints: dict[int, str] = {}
        self._pixels: dict[int, NDArray[np.int64]] = {}

    def verify(self, found: FoundRun, *, progress: Progress = lambda done, total: None) -> Verified:
        """Verify a run.

        Args:
            found: The run.
            progress: Called with the images done and the total, first for labels, then for predictions.

        Raises:
            SuiteError: The data set does not have an option.
        """
        folder, unknown = found.folder, Finding(Verdict.UNKNOWN, "its record cannot be read")
        findings = dict.fromkeys(Check, unknown)
        if found.record is None:
            findings[Check.RECORD] = Finding(Verdict.WRONG, found.problem or "cannot be read")
            return Verified(folder, None, findings)
        record = found.record
        findings[Check.RECORD] = _record(record)
        findings[Check.FILES] = files = _files(folder, record)
        findings[Check.TESTS] = _further_tests(folder, record)
        if record.outcome.status is not Status.COMPLETED or files.verdict is Verdict.WRONG:
            reason = "the run was not completed" if files.verdict is not Verdict.WRONG else "its files are damaged"
            unseen = dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), Finding(Verdict.UNKNOWN, reason))
            return Verified(folder, record, findings | unseen)
        return Verified(folder, record, findings | self._against_data(folder, record, progress))

    def _against_data(self, folder: Path, record: RunRecord, progress: Progress) -> dict[Check, Finding]:
        """Compare a completed run with the data here."""
        stored = load_matrices(folder / CONFUSION_FILE)
        try:
            split = self._here(record)
        except SegbenchError as error:
            data = Finding(Verdict.UNKNOWN, " ".join(str(error).split()))
            return dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), data)
        if split is None:
            unseen = Finding(Verdict.UNKNOWN, "data was not to be looked at")
            return dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), unseen)
        data = self._data(record, split)
        labels = _judged(lambda: _compare_labels(stored, split, self._label_pixels(split, progress)), data)
        predictions = Finding(Verdict.UNKNOWN, f"they were not kept ({PREDICTIONS_FILE})")
        if (folder / PREDICTIONS_FILE).is_file():
            archive = folder / PREDICTIONS_FILE
            predictions = _judged(lambda: count_predictions(archive, stored, split, progress=progress), data)
        return {Check.DATA: data, Check.LABELS: labels, Check.PREDICTIONS: predictions}

    def _here(self, record: RunRecord) -> SegmentationDataset | None:
        return self._splits.of(record) if self.with_data else None

    def _label_pixels(self, split: SegmentationDataset, progress: Progress) -> NDArray[np.int64]:
        """Return the pixels of each value in each label, (N, 256) int64.

        Raises:
            DataError: A label cannot be read.
        """
        if id(split) not in self._pixels:
            pixels = np.zeros((len(split), IGNORE_INDEX + 1), np.int64)
            for index in range(len(split)):
                pixels[index] = np.bincount(split.read(index).label.ravel(), minlength=IGNORE_INDEX + 1)
                progress(index + 1, len(split))
            self._pixels[id(split)] = pixels
        return self._pixels[id(split)]

    def _data(self, record: RunRecord, split: SegmentationDataset) -> Finding:
        if id(split) not in self._fingerprints:
            self._fingerprints[id(split)] = split.fingerprint()
        stored = record.data.fingerprints.get("test") if record.data else None
        if stored is None:
            return Finding(Verdict.UNKNOWN, "the record has no hash of the test split")
        same = stored == self._fingerprints[id(split)]
        return _VERIFIED if same else Finding(Verdict.UNKNOWN, "the files here are not those that it was tested on")


def _record(record: RunRecord) -> Finding:
    """Judge the hashes of a record; reading it has recomputed them."""
    if identities(record):
        return _VERIFIED
    return Finding(
        Verdict.UNKNOWN,
        "its identity includes files of weights or code, or the choice of a tuning; the recipe is right",
    )


def _files(folder: Path, record: RunRecord) -> Finding:
    try:
        verified_record(folder, record.id)
    except StoreError as error:
        return Finding(Verdict.WRONG, str(error))
    if record.checksums is None:
        return Finding(Verdict.UNKNOWN, "it is of an earlier version, which stored no checksums")
    return _VERIFIED


def _further_tests(folder: Path, record: RunRecord) -> Finding:
    """Judge all tests beside a run."""
    files = [
        (kind, file) for kind in FURTHER_TESTS for file in sorted((folder.parent / kind / record.id).glob("[!.]*.json"))
    ]
    for kind, file in files:
        try:
            test = verified_test(kind, file)
        except StoreError as error:
            return Finding(Verdict.WRONG, str(error))
        if not test.record.is_of(record):
            return Finding(Verdict.WRONG, f"{file}: is of other weights than the run has")
    return _VERIFIED if files else Finding(Verdict.UNKNOWN, "there are none")


def _judged(compare: Callable[[], object], data: Finding) -> Finding:
    """Judge a comparison with the data here; what differs on other data says nothing."""
    try:
        compare()
    except SegbenchError as error:
        other = data.verdict is not Verdict.VERIFIED
        return Finding(Verdict.UNKNOWN, data.reason) if other else Finding(Verdict.WRONG, str(error))
    return _VERIFIED


def _compare_labels(stored: ImageMatrices, split: SegmentationDataset, pixels: NDArray[np.int64]) -> None:
    """Compare the labels' pixels of each value, (N, 256), with the matrices' rows and the void row.

    Raises:
        StoreError: They differ; says where.
    """
    if tuple(split.names) != stored.names:
        raise StoreError(
            f"{CONFUSION_FILE} is of {len(stored.names)} images, the split here of {len(split)} other ones"
        )
    same = (pixels[:, : stored.num_classes] == stored.matrices.sum(axis=2)).all(axis=1)
    if stored.void_predicted is not None:
        same &= pixels[:, IGNORE_INDEX] == stored.void_predicted.sum(axis=1)
    if not same.all():
        name = stored.names[int(np.argmin(same))]
        raise StoreError(f"{CONFUSION_FILE}: the rows of {name} are not the pixels of its label: they were edited")
