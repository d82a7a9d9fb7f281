"""The record of one speed case with all samples and the machine, stored as ``speed/<case-id>.json``."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from segbench.config.sections.training import HALF_PRECISIONS
from segbench.results.record import Amount, Count, Facts, Positive
from segbench.results.speed.fingerprint import machine_digest

SPEED_SCHEMA_VERSION = 1
"""History. 1: the first version. ``source_digest``, ``seconds`` and the optional fields of warm-up, memory and
conditions were added before its release, ``casting`` after it. A case without ``casting`` keeps its meaning and id."""


class Task(StrEnum):
    """What is timed."""

    INFERENCE = "inference"
    TRAINING = "training"
    LOADING = "loading"


class Output(StrEnum):
    """What an inference call returns."""

    LOGITS = "logits"
    """Scores at the network's output size."""
    CLASSES = "classes"
    """The most likely class of every pixel (argmax)."""
    LABELS = "labels"
    """Scores resized to the label's size, then argmax."""


_WEIGHTS = ("weights", "strict")


def speed_model(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's entry in a speed case; weights are left out, since they do not change the speed.

    Args:
        name: The registered name.
        options: All options, including defaults.
    """
    kept = {key: value for key, value in options.items() if key not in _WEIGHTS}
    return {"name": name, **kept} | ({"pretrained": False} if kept.get("pretrained") else {})


class SpeedStatus(StrEnum):
    """How a measurement ended."""

    MEASURED = "measured"
    OUT_OF_MEMORY = "out of memory"
    SKIPPED = "skipped"
    """Not possible on this device (such as CUDA graphs on a CPU)."""
    FAILED = "failed"


class SpeedCase(Facts):
    """What is timed; two figures are comparable only if all of these fields are equal."""

    task: Task
    label: str
    """Name of the row; not part of the identity."""
    model: dict[str, Any]
    """The network and its options without the label; empty for ``loading``."""
    classes: Positive
    channels: Positive
    size: tuple[Positive, Positive]
    """Height and width of the network's input images."""
    label_size: tuple[Positive, Positive] | None = None
    """Height and width that scores are resized to; only for ``labels``."""
    batch_size: Positive
    precision: str
    """fp32, tf32, bf16 or fp16."""
    casting: Literal["weights"] | None = None
    """``weights``: for inference, weights and images are cast to bf16 or fp16 before timing starts. None: the weights
    are float32; in bf16 and fp16, autocast casts them in every call."""
    channels_last: bool
    mode: str
    """``eager``, ``cuda_graph``, ``compile`` or ``compile:MODE``."""
    output: Output = Output.LOGITS
    device: str
    """cpu, cuda or mps: the type of device without its number."""
    threads: int | None
    """CPU threads per operation; None leaves the choice to torch."""
    workers: Count = 0
    """Number of data loading processes; only for ``loading``."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """Other settings of a training step (loss, optimizer, clipping), or how images are loaded."""

    @property
    def images_per_call(self) -> int:
        """Images per call: one batch, or all batches of one training step."""
        return self.batch_size * int(self.recipe.get("accumulate", 1))

    @model_validator(mode="after")
    def _casts_for_inference_alone(self) -> Self:
        if self.casting and (self.task is not Task.INFERENCE or self.precision not in HALF_PRECISIONS):
            raise ValueError(f"casting is {self.casting!r}, which is only for inference in bf16 or fp16")
        return self

    @property
    def precision_label(self) -> str:
        """The precision and, for bf16 and fp16, how it is applied: ``bf16 weights`` or ``bf16 autocast``."""
        cast = (self.casting or "autocast") if self.precision in HALF_PRECISIONS else None
        return f"{self.precision} {cast}" if cast else self.precision

    @property
    def key(self) -> str:
        """The case in one line, for tables and for pytest-benchmark's ``extra_info``."""
        height, width = self.size
        parts = [
            str(self.task),
            self.label,
            f"{height}x{width}",
            f"batch {self.batch_size}",
            self.precision_label,
            "channels-last" if self.channels_last else None,
            self.mode if self.task is not Task.LOADING else f"{self.workers} workers",
            str(self.output) if self.task is Task.INFERENCE else None,
            self.device,
            f"{self.threads} threads" if self.threads else None,
        ]
        return " · ".join(part for part in parts if part)

    @property
    def identity(self) -> str:
        """SHA-256 of all fields but the label; ``casting`` is included only if set, so older identities stay valid."""
        document = self.model_dump(mode="json", exclude={"label"} | ({"casting"} if self.casting is None else set()))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Warmup(Facts):
    """The calls before sampling starts."""

    first_call_seconds: Amount
    """Seconds including compilation (no cache is used), graph capture, memory allocation and kernel choice."""
    calls: Count
    seconds: Amount
    steady: bool
    """Whether the medians of two consecutive windows agreed within 2 %; if not, the case is ``not_steady``."""
    graphs: int | None = None
    """Number of compiled graphs, including recompilations; None if not compiled."""
    graph_breaks: int | None = None
    """Number of graph breaks; None if not compiled."""


class Conditions(Facts):
    """The state of the machine while sampling; None (never 0) if a value cannot be read."""

    steal_share: float | None = None
    """Fraction of CPU time that the hypervisor took while sampling."""
    cpu_clock_mhz: float | None = None
    gpu_clock_mhz: float | None = None
    """Read while calls are queued; the next two are too."""
    memory_clock_mhz: float | None = None
    temperature_celsius: float | None = None
    temperature_before_celsius: float | None = None
    throttled: bool | None = None
    """Whether heat or power limits throttled the accelerator before, during or after sampling."""


class Memory(Facts):
    """Memory in bytes. Peaks are measured from the end of the warm-up, for CUDA graphs from before the capture."""

    spare_inputs_bytes: Count | None = None
    """Further input batches, used in turn so that caches do not hold them; included in the peaks."""

    allocated_peak_bytes: Count | None = None
    """CUDA: bytes allocated by torch's allocator."""
    reserved_peak_bytes: Count | None = None
    """CUDA: bytes reserved by torch's allocator."""
    process_before_bytes: Count | None = None
    """Resident set of the process before the network is built."""
    process_peak_bytes: Count | None = None
    """Peak resident set of the process over the samples."""


class Restart(Facts):
    """The measurement in one fresh process."""

    status: SpeedStatus
    reason: str | None = None
    warmup: Warmup | None = None
    host_seconds: tuple[Amount, ...] = ()
    """One sample per call (a batch), by the host's clock; each call is waited for."""
    device_seconds: tuple[Amount, ...] = ()
    """CUDA: one sample per call, by events, without waiting between calls."""
    parts_seconds: dict[str, tuple[Amount, ...]] = Field(default_factory=dict)
    """Training: seconds of forward, backward and optimizer in further steps. Loading: ``start`` and each pass."""
    memory: Memory = Memory()
    energy_joules: Amount | None = None
    """The accelerator's energy over ``energy_calls`` calls; None without a counter."""
    energy_calls: Count | None = None
    conditions: Conditions = Conditions()

    @model_validator(mode="after")
    def _measured_times(self) -> Restart:
        if self.status is SpeedStatus.MEASURED and not (self.host_seconds and any(self.host_seconds)):
            raise ValueError("is measured, but has no time above 0 in host_seconds")
        return self

    @property
    def call_seconds(self) -> float | None:
        """The median seconds of a call (on CUDA: device time, calls back to back); None if nothing was timed."""
        samples = self.device_seconds or self.host_seconds
        return statistics.median(samples) if samples else None


class SpeedRecord(Facts):
    """One case with all its restarts and the machine."""

    schema_version: int = SPEED_SCHEMA_VERSION
    case: SpeedCase
    restarts: tuple[Restart, ...]
    environment: dict[str, Any]
    """The fingerprint; ``segbench.results.speed.fingerprint`` lists which keys must be equal."""
    source_digest: str | None = None
    """SHA-256 of the module's source, for networks given by their import path."""

    seconds: Amount | None = None
    """Time for the samples of one restart."""

    @property
    def id(self) -> str:
        """Name of the file; includes the case and the machine, so records of several machines can coexist."""
        return f"{self.case.task}-{self.case.identity[:12]}-{machine_digest(self.environment)[:8]}"

    def rate(self, restart: Restart) -> float | None:
        """Return a restart's throughput in images/s; None if nothing was timed.

        Inference and training use the median call. Loading uses the total time: workers deliver in bursts, and a median
        would see only the short gaps.
        """
        if self.case.task is Task.LOADING:
            total = sum(restart.host_seconds)
            return self.case.images_per_call * len(restart.host_seconds) / total if total else None
        seconds = restart.call_seconds
        return self.case.images_per_call / seconds if seconds else None

    @property
    def images_per_second(self) -> float | None:
        """Images per call divided by the median, over measured restarts, of the seconds per call; None without any."""
        rates = [self.rate(restart) for restart in self.restarts if restart.status is SpeedStatus.MEASURED]
        known = [1.0 / rate for rate in rates if rate]
        return 1.0 / statistics.median(known) if known else None

    @property
    def status(self) -> SpeedStatus:
        """``measured`` if any restart was measured."""
        found = [restart.status for restart in self.restarts]
        return SpeedStatus.MEASURED if SpeedStatus.MEASURED in found else found[0]
