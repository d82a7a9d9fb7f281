"""The record of one trained network, tested again under one condition."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from segbench.results.record import Amount, Count, Facts
from segbench.results.retests.beside import TestRecord

RETEST_SCHEMA_VERSION = 1
"""History: 1, the first."""


class Condition(Facts):
    """What a network was tested under."""

    kind: Literal["corruption", "dataset", "train_split"]
    name: str
    """The corruption, the label of the data set, or ``train``."""
    severity: int | None = None
    """Of a corruption: 1 to 5."""

    @property
    def key(self) -> str:
        """Names its files, such as ``fog-3``."""
        return self.name if self.severity is None else f"{self.name}-{self.severity}"

    def __str__(self) -> str:
        return self.name.replace("_", " ") + ("" if self.severity is None else f" {self.severity}")


class Calibration(Facts):
    """Labelled pixels by the confidence of their prediction, over all images, in bins of equal width."""

    pixels: tuple[Count, ...]
    correct: tuple[Count, ...]
    confidence: tuple[float, ...]
    """Sums of confidences."""

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Calibration:
        if not len(self.pixels) == len(self.correct) == len(self.confidence):
            raise ValueError("counts of different numbers of bins")
        if any(correct > pixels for correct, pixels in zip(self.correct, self.pixels, strict=True)):
            raise ValueError("more pixels of a bin are correct than there are")
        return self


class RetestRecord(TestRecord):
    """One run under one condition; the confusion matrices lie beside it, in a file of the same name."""

    schema_version: int = RETEST_SCHEMA_VERSION
    condition: Condition
    calibration: Calibration | None = None
    seconds: Amount | None = None
    environment: dict[str, Any] = Field(default_factory=dict)
    """Versions, processor, accelerator, threads."""

    @property
    def under(self) -> Condition:
        """The condition."""
        return self.condition
