"""Compares predictions with those of PyTorch, which lie in a folder while a network is deployed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.results.deployments.record import Agreement

_WHOLE = "whole"


class PredictionKeeper:
    """Keeps the predictions of all images, in their order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images, self.pixels = folder, 0, 0
        folder.mkdir(parents=True, exist_ok=True)

    def update(
        self, name: str, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Add one image; see ``segbench.engine.evaluation.evaluate.DetailRecorder``."""
        del name, label, confidence
        np.save(self.folder / f"{self.images}.npy", prediction)
        self.images, self.pixels = self.images + 1, self.pixels + prediction.size

    def finish(self) -> None:
        """Mark that all images are there."""
        (self.folder / _WHOLE).touch()

    def compute(self) -> Agreement:
        """Return that all pixels are equal to themselves."""
        return Agreement(pixels=self.pixels, equal=self.pixels)


class AgreementCounter:
    """Counts the pixels that are predicted as ``PredictionKeeper`` kept them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images, self.pixels, self.equal = folder, 0, 0, 0

    def update(
        self, name: str, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Add one image; see ``segbench.engine.evaluation.evaluate.DetailRecorder``."""
        del name, label, confidence
        kept = np.load(self.folder / f"{self.images}.npy")
        self.pixels += prediction.size
        self.equal += int((kept == prediction).sum())
        self.images += 1

    def finish(self) -> None:
        """Nothing is waited for."""

    def compute(self) -> Agreement:
        """Return the counts."""
        return Agreement(pixels=self.pixels, equal=self.equal)


def is_whole(folder: Path) -> bool:
    """Return whether the predictions of all images are kept."""
    return (folder / _WHOLE).is_file()
