"""What the final evaluation looks at beside confusion matrices: contours and the softmax of every image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segbench.engine.predictions import PredictionArchive
from segbench.metrics.boundary import BoundaryCounts, boundary_counts
from segbench.metrics.calibration import CalibrationCounts, calibration_counts
from segbench.results.details import BOUNDARY, CALIBRATION, ImageDetails


@dataclass
class Details:
    """Counts image by image.

    Attributes:
        num_classes: The number of classes.
        predictions: Keeps the predictions; None keeps none.
    """

    num_classes: int
    predictions: PredictionArchive | None = None
    _names: list[str] = field(default_factory=list)
    _boundary: list[BoundaryCounts] = field(default_factory=list)
    _calibration: list[CalibrationCounts] = field(default_factory=list)

    def look(self, name: str, scores: Tensor, label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Look at one image.

        Args:
            name: The image's name.
            scores: (1, classes, H, W) float32: logits, or the logarithm of probabilities.
            label: (H, W) class indices, 255 for void.
            prediction: (H, W) class indices.
        """
        self._names.append(name)
        self._boundary.append(boundary_counts(label, prediction, num_classes=self.num_classes))
        self._calibration.append(calibration_counts(label, prediction, confidence(scores)))
        if self.predictions is not None:
            self.predictions.add(prediction)

    def collected(self) -> ImageDetails:
        """Return what was counted in all images so far."""
        arrays = {f"{BOUNDARY}{name}": np.stack(parts) for name, parts in _columns(self._boundary)}
        arrays |= {f"{CALIBRATION}{name}": np.stack(parts) for name, parts in _columns(self._calibration)}
        return ImageDetails(tuple(self._names), arrays)


def confidence(scores: Tensor) -> NDArray[np.float32]:
    """Return the softmax probability of the best class of each pixel of (1, classes, H, W) scores as (H, W)."""
    best = scores[0].amax(0) - scores[0].logsumexp(0)
    probability: NDArray[np.float32] = best.exp().cpu().numpy()
    return probability


def _columns(counts: list[BoundaryCounts] | list[CalibrationCounts]) -> list[tuple[str, list[NDArray[np.generic]]]]:
    """Return the parts of all counts by the part's name."""
    if not counts:
        return []
    return [(name, [getattr(each, name) for each in counts]) for name in counts[0]._fields]
