"""Tests trained networks under one condition, one after the other, on images that are made once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.config.plan import Run
from segbench.config.sections.robustness import Robustness
from segbench.data.base import SegmentationDataset
from segbench.data.loading.threads import torch_threads
from segbench.data.open import cached
from segbench.engine.device import use_device
from segbench.engine.events import Notice, Observer
from segbench.engine.inference.apply import ready
from segbench.engine.robustness.conditions import images_under, splits_of
from segbench.errors import DataError, SegbenchError, StoreError
from segbench.metrics.calibration import BINS, CalibrationCounts, calibration_counts
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.environment import capture
from segbench.results.record import Status
from segbench.results.retests.record import Calibration, Condition, RetestRecord
from segbench.results.retests.store import ROBUSTNESS


@dataclass(frozen=True)
class Trained:
    """A run whose network is there.

    Attributes:
        run: The run.
        checkpoint: Its weights.
        weights: SHA-256 of that file.
    """

    run: Run
    checkpoint: Path
    weights: str


@dataclass(frozen=True)
class Batch:
    """Networks that are tested on the same images.

    Attributes:
        condition: What they are tested under.
        block: The suite's block, which says how many images and which data sets.
        fingerprint: Hash of the images and what is done to them.
        networks: The networks; they share data set and fold.
    """

    condition: Condition
    block: Robustness
    fingerprint: str
    networks: tuple[Trained, ...]


class CalibrationRecorder:
    """Sums up how sure a network was and how often it was right, over all images."""

    def __init__(self) -> None:
        self.pixels = np.zeros(BINS, np.int64)
        self.correct = np.zeros(BINS, np.int64)
        self.confidence = np.zeros(BINS, np.float64)

    def update(
        self, name: str, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Add one image; see ``segbench.engine.evaluation.evaluate.DetailRecorder``."""
        del name
        found: CalibrationCounts = calibration_counts(label, prediction, confidence)
        self.pixels += found.pixels
        self.correct += found.correct
        self.confidence += found.confidence

    def finish(self) -> None:
        """Nothing is waited for."""

    def compute(self) -> Calibration:
        """Return the sums."""
        return Calibration(
            pixels=tuple(self.pixels.tolist()),
            correct=tuple(self.correct.tolist()),
            confidence=tuple(self.confidence.tolist()),
        )


def retest(batch: Batch, folder: Path, device: str, *, observer: Observer) -> None:
    """Test networks under one condition and store what is found, each as soon as it is known.

    Args:
        batch: The networks and the condition.
        folder: The suite's folder of further tests.
        device: auto, cpu, cuda, cuda:N or mps.
        observer: Told of networks that failed.

    Raises:
        DataError: An image cannot be read or corrupted.
        StoreError: The results cannot be written.
    """
    first = batch.networks[0].run
    memory = first.loader.model_copy(update={"cache": "memory"})
    images = cached(images_under(batch.condition, splits_of(first), batch.block), memory)
    for network in batch.networks:
        with torch_threads(network.run.threads):
            record, matrices = _tested(network, batch, images, device)
        if record.reason is not None:
            observer(Notice(f"{network.run.label}, seed {network.run.seed}, {batch.condition}: {record.reason}"))
        ROBUSTNESS.write(folder, record, matrices)


def record_of(network: Trained, batch: Batch, status: Status, reason: str | None = None) -> RetestRecord:
    """Return the record of a network under a condition, without what a test found."""
    run = network.run
    return RetestRecord(
        run=run.id,
        identity=run.identity,
        label=run.label,
        seed=run.seed,
        weights=network.weights,
        condition=batch.condition,
        fingerprint=batch.fingerprint,
        status=status,
        reason=reason,
    )


def _tested(
    network: Trained, batch: Batch, images: SegmentationDataset, device: str
) -> tuple[RetestRecord, ImageMatrices | None]:
    try:
        return _completed(network, batch, images, device)
    except (DataError, StoreError):
        raise
    except (SegbenchError, RuntimeError, MemoryError) as error:  # one network's fault must not stop the others
        return record_of(network, batch, Status.FAILED, " ".join(str(error).split())), None


def _completed(
    network: Trained, batch: Batch, images: SegmentationDataset, device: str
) -> tuple[RetestRecord, ImageMatrices]:
    started = time.perf_counter()
    prepared, details = ready(network.checkpoint, device=device), CalibrationRecorder()
    found = prepared.evaluate(images, workers=0, progress=lambda done, total: None, details=details)
    record = record_of(network, batch, Status.COMPLETED).model_copy(
        update={
            "images": len(found.matrices.names),
            "test_digest": found.digest,
            "calibration": details.compute(),
            "seconds": time.perf_counter() - started,
            "environment": capture(device=str(use_device(device)), threads=network.run.threads),
        }
    )
    return record, found.matrices
