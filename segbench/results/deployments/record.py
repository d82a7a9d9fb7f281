"""The record of one trained network, deployed to one target."""

from __future__ import annotations

import statistics
from typing import Any, ClassVar

from pydantic import Field, model_validator

from segbench.results.record import Amount, Count, Facts, Positive
from segbench.results.retests.beside import TestRecord
from segbench.results.speed.record import Restart, SpeedStatus

DEPLOYMENT_SCHEMA_VERSION = 1
"""History: 1, the first."""


class DeployedTo(Facts):
    """What a network was deployed to."""

    runtime: str
    precision: str
    prune: float | None = None
    """The share of channels that was pruned."""
    device: str
    """cpu, cuda or mps."""

    @property
    def kind(self) -> str:
        """Tells it from conditions of robustness."""
        return "deployment"

    @property
    def key(self) -> str:
        """Names its files, such as ``onnxruntime-int8``; other devices than the CPU stand behind."""
        pruned = "" if self.prune is None else f"-pruned-{self.prune:g}"
        return f"{self.runtime}-{self.precision}{pruned}" + ("" if self.device == "cpu" else f"-{self.device}")

    def __str__(self) -> str:
        pruned = "" if self.prune is None else f", {100 * self.prune:g} % pruned"
        return f"{self.runtime} {self.precision}{pruned}" + ("" if self.device == "cpu" else f" on {self.device}")


class Agreement(Facts):
    """How many pixels of the test images are predicted as by PyTorch (eager, fp32), void ones included."""

    pixels: Positive
    equal: Count

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Agreement:
        if self.equal > self.pixels:
            raise ValueError("more pixels are equal than there are")
        return self

    @property
    def share(self) -> float:
        """The share of equal pixels."""
        return self.equal / self.pixels


class CalibrationSet(Facts):
    """What int8 was calibrated on."""

    images: tuple[str, ...]
    """Names of training images."""
    digest: str
    """SHA-256 of their names and of all that was fed, in order."""


class Pruning(Facts):
    """How a network was made smaller."""

    parameters_before: Count
    parameters: Count
    fine_tuned_epochs: Count
    seconds: Amount
    """Pruning and fine-tuning."""


class Timing(Facts):
    """Calls on batches of one size, one restart a fresh process; as a speed record keeps them."""

    batch_size: Positive
    size: tuple[Positive, Positive]
    """Height and width of the images."""
    restarts: tuple[Restart, ...]

    @property
    def call_seconds(self) -> float | None:
        """The median over restarts of the median call; None where nothing was timed."""
        known = [restart.call_seconds for restart in self.restarts if restart.status is SpeedStatus.MEASURED]
        values = [seconds for seconds in known if seconds is not None]
        return statistics.median(values) if values else None

    @property
    def images_per_second(self) -> float | None:
        """Throughput; None where nothing was timed."""
        return self.batch_size / self.call_seconds if self.call_seconds else None


class DeploymentRecord(TestRecord):
    """One run on one target; the confusion matrices lie beside it, in a file of the same name."""

    measured: ClassVar[frozenset[str]] = TestRecord.measured | {"export_seconds", "file_bytes", "pruning", "timings"}

    schema_version: int = DEPLOYMENT_SCHEMA_VERSION
    target: DeployedTo
    agreement: Agreement | None = None
    largest_difference: float | None = None
    """The largest difference of scores from PyTorch's, on seeded images."""
    exporter: str | None = None
    """How its ONNX file was made: trace or dynamo."""
    export_seconds: Amount | None = None
    """Export, quantisation or compilation, loading and the first call; without the comparison of scores."""
    file_bytes: Count | None = None
    """Size of all its files; in PyTorch, of its weights."""
    channels_last: bool = False
    """Whether PyTorch laid images and weights out with channels last, as the suite says; other runtimes choose."""
    calibration: CalibrationSet | None = None
    pruning: Pruning | None = None
    timings: tuple[Timing, ...] = ()
    seconds: Amount | None = None
    environment: dict[str, Any] = Field(default_factory=dict)
    """Versions of segbench, PyTorch and the runtime, processor, accelerator, threads."""

    @property
    def under(self) -> DeployedTo:
        """The target."""
        return self.target
