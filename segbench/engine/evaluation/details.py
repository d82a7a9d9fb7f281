"""Computes further details of each test image: boundary counts, calibration counts and the prediction's picture."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import Color
from segbench.engine.background import INLINE, OrderedCalls, Threads
from segbench.engine.evaluation.predictions import PredictionArchive, prediction_picture
from segbench.metrics.boundary import BoundaryCounts, boundary_counts
from segbench.metrics.calibration import CalibrationCounts, calibration_counts
from segbench.results.arrays.details import BOUNDARY, CALIBRATION, ImageDetails


class Found(NamedTuple):
    """The details of one image.

    Attributes:
        boundary: Counts for the boundary scores.
        calibration: Counts for the calibration error.
        picture: The prediction as a PNG; None if predictions are not kept.
    """

    boundary: BoundaryCounts
    calibration: CalibrationCounts
    picture: bytes | None


class Details:
    """Collects the details of images, in background threads if there are cores for them.

    Args:
        num_classes: The number of classes.
        predictions: The archive of predictions; None keeps none.
        threads: Number of threads; with one, the calling thread does the work.
    """

    def __init__(
        self, num_classes: int, predictions: PredictionArchive | None = None, *, threads: Threads = INLINE
    ) -> None:
        self.num_classes, self.predictions = num_classes, predictions
        self._calls: OrderedCalls[Found] = OrderedCalls(threads)
        self._names: list[str] = []
        self._boundary: list[BoundaryCounts] = []
        self._calibration: list[CalibrationCounts] = []

    def update(
        self,
        name: str,
        label: NDArray[np.uint8],
        prediction: NDArray[np.uint8],
        confidence: NDArray[np.float32],
    ) -> None:
        """Add one image; see ``segbench.engine.evaluation.evaluate.DetailRecorder``.

        Raises:
            DataError: The shapes of label and prediction differ, for this image or an earlier one.
        """
        palette = self.predictions.palette if self.predictions is not None else None
        self._names.append(name)
        self._keep(
            self._calls.add(partial(examined, label, prediction, confidence, classes=self.num_classes, palette=palette))
        )

    def finish(self) -> None:
        """Wait until all images are done."""
        self._keep(self._calls.finish())

    def compute(self) -> ImageDetails:
        """Return the counts of all images so far."""
        self.finish()
        arrays = {f"{BOUNDARY}{name}": np.stack(parts) for name, parts in _columns(self._boundary)}
        arrays |= {f"{CALIBRATION}{name}": np.stack(parts) for name, parts in _columns(self._calibration)}
        return ImageDetails(tuple(self._names), arrays)

    def _keep(self, images: Iterable[Found]) -> None:
        for found in images:
            self._boundary.append(found.boundary)
            self._calibration.append(found.calibration)
            if self.predictions is not None and found.picture is not None:
                self.predictions.add(found.picture)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.close()


def examined(
    label: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    *,
    classes: int,
    palette: tuple[Color, ...] | None,
) -> Found:
    """Compute the details of one image; most of the work releases the GIL."""
    return Found(
        boundary_counts(label, prediction, num_classes=classes),
        calibration_counts(label, prediction, confidence),
        None if palette is None else prediction_picture(prediction, palette),
    )


def _columns(counts: list[BoundaryCounts] | list[CalibrationCounts]) -> list[tuple[str, list[NDArray[np.generic]]]]:
    """Stack the counts of all images, by name of the count."""
    if not counts:
        return []
    return [(name, [getattr(each, name) for each in counts]) for name in counts[0]._fields]
