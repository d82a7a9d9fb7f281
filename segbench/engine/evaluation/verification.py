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
from segbench.engine.evaluation.recorded_splits import RecordedSplits
from segbench.engine.evaluation.recount import count_predictions
from segbench.errors import SegbenchError, StoreError
from segbench.results.archive.further_tests import FURTHER_TESTS, verified_test
from segbench.results.arrays.details import load_details
from segbench.results.arrays.matrices import ImageMatrices, load_matrices
from segbench.results.find_runs import FoundRun
from segbench.results.hashes import identities, is_sealed
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE, PREDICTIONS_FILE
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
    """Kept predictions, counted against the labels here, against the stored matrices and boundaries."""


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
class RunChecks:
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
_NO_CHECKSUM = "without checksums, as earlier versions stored them: nothing would tell an edit"


class Verifier:
    """Verifies runs; opens each test split and reads its labels once.

    Args:
        options: Options with the location of the data, such as ``root``, which records do not contain.
        with_data: Whether to look at data that lies here.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, *, with_data: bool = True) -> None:
        self.with_data = with_data
        self._splits = RecordedSplits(options)
        self._fingerprints: dict[int, str] = {}
        self._pixels: dict[int, NDArray[np.int64]] = {}

    def verify(self, found: FoundRun, *, progress: Progress = lambda done, total: None) -> RunChecks:
        """Verify a run.

        Args:
            found: The run.
            progress: Called with the images done and the total, first for labels, then for predictions.
        """
        folder, unknown = found.folder, Finding(Verdict.UNKNOWN, "its record cannot be read")
        findings = dict.fromkeys(Check, unknown)
        if found.record is None:
            findings[Check.RECORD] = Finding(Verdict.WRONG, found.problem or "cannot be read")
            return RunChecks(folder, None, findings)
        record = found.record
        findings[Check.RECORD] = _record(record)
        findings[Check.FILES] = files = _files(folder, record)
        findings[Check.TESTS] = _further_tests(folder, record)
        if record.outcome.status is not Status.COMPLETED or files.verdict is Verdict.WRONG:
            reason = "the run was not completed" if files.verdict is not Verdict.WRONG else "its files are damaged"
            unseen = dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), Finding(Verdict.UNKNOWN, reason))
            return RunChecks(folder, record, findings | unseen)
        return RunChecks(folder, record, findings | self._against_data(folder, record, progress))

    def _against_data(self, folder: Path, record: RunRecord, progress: Progress) -> dict[Check, Finding]:
        """Compare a completed run with the data here."""
        if not self.with_data:
            unseen = Finding(Verdict.UNKNOWN, "data was not to be looked at")
            return dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), unseen)
        try:
            split = self._splits.of(record)
            data = self._data(record, split)
        except SegbenchError as error:
            absent = Finding(Verdict.UNKNOWN, " ".join(str(error).split()))
            return dict.fromkeys((Check.DATA, Check.LABELS, Check.PREDICTIONS), absent)
        stored = load_matrices(folder / CONFUSION_FILE)
        labels = self._labels(stored, split, data, progress)
        archive = folder / PREDICTIONS_FILE
        if not archive.is_file():
            predictions = Finding(Verdict.UNKNOWN, f"they were not kept ({PREDICTIONS_FILE})")
        elif labels.verdict is Verdict.UNKNOWN:
            predictions = labels
        else:
            predictions = _VERIFIED
            try:
                count_predictions(
                    archive, stored, split, details=load_details(folder / DETAILS_FILE), progress=progress
                )
            except SegbenchError as error:
                predictions = Finding(Verdict.WRONG, str(error))
        return {Check.DATA: data, Check.LABELS: labels, Check.PREDICTIONS: predictions}

    def _labels(self, stored: ImageMatrices, split: SegmentationDataset, data: Finding, progress: Progress) -> Finding:
        """Compare the labels' pixels of each class with the matrices' rows, and void pixels with the void row."""
        other = data.verdict is not Verdict.VERIFIED
        if tuple(split.names) != stored.names:
            reason = f"{CONFUSION_FILE} is of {len(stored.names)} images, the split here of {len(split)} other ones"
            return Finding(Verdict.UNKNOWN, data.reason) if other else Finding(Verdict.WRONG, reason)
        try:
            pixels = self._label_pixels(split, progress)
        except SegbenchError as error:
            return Finding(Verdict.UNKNOWN, " ".join(str(error).split()))
        same = (pixels[:, : stored.num_classes] == stored.matrices.sum(axis=2)).all(axis=1)
        if stored.void_predicted is not None:
            same &= pixels[:, IGNORE_INDEX] == stored.void_predicted.sum(axis=1)
        if same.all():
            return _VERIFIED
        name = stored.names[int(np.argmin(same))]
        whose = f"either they were edited, or {data.reason}" if other else "they were edited"
        return Finding(Verdict.WRONG, f"{CONFUSION_FILE}: the rows of {name} are not the pixels of its label: {whose}")

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
        verified_record(folder, record.id if folder.name.startswith(".") else folder.name)  # hidden: being replaced
    except StoreError as error:
        return Finding(Verdict.WRONG, str(error))
    if record.checksums is None:
        return Finding(Verdict.UNKNOWN, _NO_CHECKSUM)
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
    if not files:
        return Finding(Verdict.UNKNOWN, "there are none")
    unsealed = any(not is_sealed(file) for _, file in files)
    return Finding(Verdict.UNKNOWN, _NO_CHECKSUM) if unsealed else _VERIFIED
