"""Recounts stored runs from their kept predictions, to add the void row that earlier versions lack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import SegmentationDataset
from segbench.engine.evaluation.predictions import read_prediction
from segbench.engine.evaluation.recorded_splits import RecordedSplits
from segbench.errors import DataError, StoreError
from segbench.metrics.boundary import boundary_counts
from segbench.metrics.confusion import PixelCounts, count_pixels
from segbench.results.arrays.details import BOUNDARY, ImageDetails
from segbench.results.arrays.matrices import ImageMatrices, load_matrices, save_matrices
from segbench.results.files import flush_to_disk, replacing, storing
from segbench.results.find_runs import FoundRun
from segbench.results.record import Status
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE, PREDICTIONS_FILE
from segbench.results.store import write_record

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recounted:
    """Outcome of recounting a run.

    Attributes:
        run: The run's id.
        counted: Whether the matrices were rewritten with the void row.
        reason: Why they were not.
        refused: Whether the reason is an error.
    """

    run: str
    counted: bool
    reason: str = ""
    refused: bool = False


class Recounter:
    """Recounts runs; opens each test split only once."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """Set options with the location of the data, such as ``root``, which records do not contain."""
        self._splits = RecordedSplits(options)

    def recount(self, found: FoundRun, *, progress: Progress = lambda done, total: None) -> Recounted:
        """Add the void row to a run's matrices; the recounted matrices must equal the stored ones.

        Args:
            found: The run.
            progress: Called with the images done and the total.

        Returns:
            The outcome; a run is refused if its files or test split are missing or unreadable.

        Raises:
            SuiteError: The data set does not have an option.
            StoreError: The file cannot be written.
        """
        name, record = found.folder.name, found.record
        if record is None or record.outcome.status is not Status.COMPLETED:
            reason = found.problem or "was not completed"
            return Recounted(name, counted=False, reason=reason, refused=found.problem is not None)
        try:
            stored = load_matrices(found.folder / CONFUSION_FILE)
        except StoreError as error:
            return Recounted(name, counted=False, reason=str(error), refused=True)
        if stored.void_predicted is not None:
            return Recounted(name, counted=False, reason="has a void row already")
        if not (found.folder / PREDICTIONS_FILE).is_file():
            return Recounted(name, counted=False, reason=f"its predictions were not kept ({PREDICTIONS_FILE})")
        try:
            counted = count_predictions(
                found.folder / PREDICTIONS_FILE, stored, self._splits.of(record), progress=progress
            )
        except (DataError, StoreError) as error:
            return Recounted(name, counted=False, reason=str(error), refused=True)
        with storing(found.folder), replacing(found.folder / CONFUSION_FILE) as file:
            save_matrices(file, counted)
            flush_to_disk(file)
        if record.checksums is not None:
            write_record(found.folder, record)
        return Recounted(name, counted=True)


def count_predictions(
    archive: Path,
    stored: ImageMatrices,
    split: SegmentationDataset,
    *,
    details: ImageDetails | None = None,
    progress: Progress = lambda done, total: None,
) -> ImageMatrices:
    """Count the predictions of an archive against a split's labels.

    Args:
        archive: The zip archive of predictions.
        stored: The stored matrices, which the counts must equal.
        split: The test split.
        details: Stored details, whose counts of boundaries are counted again, too.
        progress: Called with the images done and the total.

    Returns:
        The stored matrices with their void row.

    Raises:
        StoreError: The archive cannot be read, or the counts differ; nothing was written.
        DataError: A label cannot be read.
    """
    if tuple(split.names) != stored.names:
        raise StoreError(
            f"{archive}: is of {len(stored.names)} test images, and the split here holds other ones ({len(split)}); "
            "give the data that was tested on"
        )
    void_predicted = np.zeros(stored.matrices.shape[:2], np.int64)
    boundaries = {} if details is None else details.part(BOUNDARY)
    for index, name in enumerate(stored.names):
        label = split.read(index).label
        prediction = _prediction(archive, index, label)
        counts = _counted(archive, index, label, prediction, classes=stored.num_classes)
        if not np.array_equal(counts.confusion, stored.matrices[index]):
            raise StoreError(
                f"{archive}: the prediction for {name} and its label here do not give the stored matrix, so one of "
                "them is not what was scored; nothing was changed"
            )
        if boundaries and not _same_boundaries(boundaries, index, label, prediction, classes=stored.num_classes):
            raise StoreError(f"{archive}: the prediction for {name} does not give the boundaries in {DETAILS_FILE}")
        void_predicted[index] = counts.void_predicted
        progress(index + 1, len(stored.names))
    return ImageMatrices(stored.names, stored.matrices, void_predicted)


def _prediction(archive: Path, index: int, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Read a prediction of the label's size.

    Raises:
        StoreError: It cannot be read, or has another size.
    """
    picture = BytesIO(read_prediction(archive, index, pixels=label.size))
    try:
        with Image.open(picture) as image:
            if image.size != label.shape[::-1]:
                raise StoreError(f"{archive}: the prediction of image {index} has another size than its label")
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise StoreError(f"{archive}: the prediction of image {index} cannot be read: {error}") from None


def _counted(
    archive: Path, index: int, label: NDArray[np.uint8], prediction: NDArray[np.uint8], *, classes: int
) -> PixelCounts:
    try:
        return count_pixels(label, prediction, num_classes=classes, name=f"{archive}: prediction {index}")
    except DataError as error:
        raise StoreError(f"{archive}: the prediction of image {index} cannot be counted: {error}") from None


def _same_boundaries(
    stored: Mapping[str, NDArray[Any]],
    index: int,
    label: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    *,
    classes: int,
) -> bool:
    counted = boundary_counts(label, prediction, num_classes=classes)._asdict()
    return all(name in stored and np.array_equal(stored[name][index], count) for name, count in counted.items())
