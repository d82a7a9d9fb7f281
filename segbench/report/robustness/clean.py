"""The calibration of networks on the clean images that corruptions were made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segbench.metrics.calibration import CalibrationCounts
from segbench.results.arrays.details import CALIBRATION, load_details
from segbench.results.run_files import DETAILS_FILE


def clean_calibration(folder: Path, images: Sequence[str]) -> CalibrationCounts | None:
    """Return the pixels of some images of a run's own test by confidence; None where they were not counted.

    Raises:
        StoreError: The counts cannot be read.
    """
    details = load_details(folder / DETAILS_FILE)
    if details is None or not details.part(CALIBRATION) or not set(images) <= set(details.names):
        return None
    places = {name: place for place, name in enumerate(details.names)}
    chosen = [places[name] for name in images]
    return CalibrationCounts(**{name: counts[chosen] for name, counts in details.part(CALIBRATION).items()})


def joined_calibration(folds: Sequence[CalibrationCounts | None]) -> CalibrationCounts | None:
    """Return the counts of all folds; None where one has none."""
    known = [fold for fold in folds if fold is not None]
    return CalibrationCounts(*map(np.concatenate, zip(*known, strict=True))) if len(known) == len(folds) else None
