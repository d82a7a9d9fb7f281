"""The record of one trained network, tested again under one condition."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from segbench.results.record import Facts, Status

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

    pixels: tuple[int, ...]
    correct: tuple[int, ...]
    confidence: tuple[float, ...]
    """Sums of confidences."""


class RetestRecord(Facts):
    """One run under one condition; the confusion matrices lie beside it, in a file of the same name."""

    schema_version: int = RETEST_SCHEMA_VERSION
    run: str
    """Id of the run that trained the network."""
    identity: str
    """Its identity, by which a run that was done anew is told from this one."""
    label: str
    seed: int
    condition: Condition
    fingerprint: str
    """Hash of what was asked: the data, the corruption, the share of the images."""
    status: Status
    reason: str | None = None
    """Why there are no matrices."""
    images: int = 0
    test_digest: str | None = None
    """Hash of all that was fed, in order: equal for all networks under one condition."""
    calibration: Calibration | None = None
    seconds: float | None = None
    environment: dict[str, Any] = Field(default_factory=dict)
    """Versions, processor, accelerator, threads."""
