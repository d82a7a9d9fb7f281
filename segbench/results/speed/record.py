"""The record of one speed case: what was timed, every sample, and where, as it stands in ``speed/<case-id>.json``."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from segbench.config.sections.training import HALF_PRECISIONS
from segbench.results.record import Facts
from segbench.results.speed.fingerprint import machine_digest

SPEED_SCHEMA_VERSION = 1
"""History: 1, the first; before it was ever released, it got ``source_digest``,
``seconds`` and what warm-up, memory and conditions may leave open. ``casting`` came later; a case without it is what
it always was."""


class Task(StrEnum):
    """What is timed."""

    INFERENCE = "inference"
    TRAINING = "training"
    LOADING = "loading"


class Output(StrEnum):
    """What an inference call has to deliver."""

    LOGITS = "logits"
    """Scores at the network's own output size."""
    CLASSES = "classes"
    """The best class of every pixel (argmax)."""
    LABELS = "labels"
    """Scores resized to the label's size, then the best class of every pixel."""


_WEIGHTS = ("weights", "strict")


def speed_model(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network as a speed case holds it: weights are left out, since they change no speed.

    Args:
        name: The registered name.
        options: Every option, defaults included.
    """
    kept = {key: value for key, value in options.items() if key not in _WEIGHTS}
    return {"name": name, **kept} | ({"pretrained": False} if kept.get("pretrained") else {})


class SpeedStatus(StrEnum):
    """How a measurement ended."""

    MEASURED = "measured"
    OUT_OF_MEMORY = "out of memory"
    SKIPPED = "skipped"
    """It cannot be done here (no CUDA graphs on a processor, say)."""
    FAILED = "failed"


class SpeedCase(Facts):
    """What is timed; two figures are compared only if all of this is equal."""

    task: Task
    label: str
    """What the row is called; not part of the identity."""
    model: dict[str, Any]
    """The network and its options, without label; empty for ``loading``, which has no network."""
    classes: int
    channels: int
    size: tuple[int, int]
    """Height and width of the images that the network is given."""
    label_size: tuple[int, int] | None = None
    """Height and width that scores are resized to; only for ``labels``."""
    batch_size: int
    precision: str
    """fp32, tf32, bf16 or fp16."""
    casting: Literal["weights"] | None = None
    """``weights``: weights and images of inference were cast to bf16 or fp16 before anything was timed. None: the
    weights are float32, and autocast casts them in every call where the precision is bf16 or fp16."""
    channels_last: bool
    mode: str
    """``eager``, ``cuda_graph``, ``compile`` or ``compile:MODE``."""
    output: Output = Output.LOGITS
    device: str
    """cpu, cuda or mps: the kind, not the number."""
    threads: int | None
    """Threads of one operation on the processor; None leaves torch's own choice."""
    workers: int = 0
    """Processes that read images; only for ``loading``."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """What a training step depends on besides (loss, optimizer, clipping), or how images are loaded."""

    @property
    def images_per_call(self) -> int:
        """Images that one call takes: a batch, or all the batches of one training step."""
        return self.batch_size * int(self.recipe.get("accumulate", 1))

    @model_validator(mode="after")
    def _casts_for_inference_alone(self) -> Self:
        if self.casting and (self.task is not Task.INFERENCE or self.precision not in HALF_PRECISIONS):
            raise ValueError(f"casting is {self.casting!r}, which is for inference in bf16 or fp16 alone")
        return self

    @property
    def arithmetic(self) -> str:
        """The precision, of bf16 and fp16 with what is cast: ``bf16 weights`` once, ``bf16 autocast`` in each call."""
        cast = (self.casting or "autocast") if self.precision in HALF_PRECISIONS else None
        return f"{self.precision} {cast}" if cast else self.precision

    @property
    def key(self) -> str:
        """The case in one line, for people and for pytest-benchmark's ``extra_info``."""
        height, width = self.size
        parts = [
            str(self.task),
            self.label,
            f"{height}x{width}",
            f"batch {self.batch_size}",
            self.arithmetic,
            "channels-last" if self.channels_last else None,
            self.mode if self.task is not Task.LOADING else f"{self.workers} workers",
            str(self.output) if self.task is Task.INFERENCE else None,
            self.device,
            f"{self.threads} threads" if self.threads else None,
        ]
        return " · ".join(part for part in parts if part)

    @property
    def identity(self) -> str:
        """SHA-256 of everything but the label; ``casting`` counts where it is not None, so that older ones hold."""
        document = self.model_dump(mode="json", exclude={"label"} | ({"casting"} if self.casting is None else set()))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Warmup(Facts):
    """The calls before the samples."""

    first_call_seconds: float
    """Compilation (no cache is used), graph capture, memory allocation and kernel choice included."""
    calls: int
    seconds: float
    steady: bool
    """Whether the medians of two consecutive windows agreed within 2 %; otherwise the case is ``not_steady``."""
    graphs: int | None = None
    """Graphs that were compiled, recompilations included; None for what is not compiled."""
    graph_breaks: int | None = None
    """Places where the compiler had to leave the network; None for what is not compiled."""


class Conditions(Facts):
    """The state of the machine around the samples; None where it cannot be read, never 0."""

    steal_share: float | None = None
    """Share of the processor's time that the hypervisor took, over the samples."""
    cpu_clock_mhz: float | None = None
    gpu_clock_mhz: float | None = None
    """While calls are queued; so are the next two."""
    memory_clock_mhz: float | None = None
    temperature_celsius: float | None = None
    temperature_before_celsius: float | None = None
    throttled: bool | None = None
    """Whether the accelerator's clocks were held back by heat or power before, during or after the samples."""


class Memory(Facts):
    """Memory in bytes; peaks are counted from the end of the warm-up, those of CUDA graphs from before the capture."""

    spare_inputs_bytes: int | None = None
    """Inputs beyond one batch, which rotate so that caches do not hold them; part of the peaks."""

    allocated_peak_bytes: int | None = None
    """CUDA: by torch's allocator."""
    reserved_peak_bytes: int | None = None
    """CUDA: held by torch's allocator."""
    process_before_bytes: int | None = None
    """Resident set of the process before the network is built."""
    process_peak_bytes: int | None = None
    """Peak resident set of the process over the samples."""


class Restart(Facts):
    """One fresh process."""

    status: SpeedStatus
    reason: str | None = None
    warmup: Warmup | None = None
    host_seconds: tuple[float, ...] = ()
    """One sample a call (a batch), by the host's clock, each waited for."""
    device_seconds: tuple[float, ...] = ()
    """CUDA: one sample a call by events, without waiting in between."""
    parts_seconds: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Training: forward, backward and optimizer of further steps; loading: ``start`` and each pass."""
    memory: Memory = Memory()
    energy_joules: float | None = None
    """Accelerator's energy over ``energy_calls`` calls; None where no counter exists."""
    energy_calls: int | None = None
    conditions: Conditions = Conditions()

    @property
    def call_seconds(self) -> float | None:
        """The median seconds of a call: on CUDA the device's, calls back to back; None when nothing was timed."""
        samples = self.device_seconds or self.host_seconds
        return statistics.median(samples) if samples else None


class SpeedRecord(Facts):
    """One case, all its restarts, and the machine."""

    schema_version: int = SPEED_SCHEMA_VERSION
    case: SpeedCase
    restarts: tuple[Restart, ...]
    environment: dict[str, Any]
    """The fingerprint; see ``segbench.results.speed.fingerprint`` for what has to be equal."""
    source_digest: str | None = None
    """SHA-256 of the module's source, for networks given by their import path."""

    seconds: float | None = None
    """Time that was given to the samples of one restart."""

    @property
    def id(self) -> str:
        """Name of the file: the case and the machine, so that another machine's samples stand beside these."""
        return f"{self.case.task}-{self.case.identity[:12]}-{machine_digest(self.environment)[:8]}"

    def rate(self, restart: Restart) -> float | None:
        """Return a restart's images a second; None when nothing was timed.

        Inference and training count by the median call. A loader's workers deliver in bursts, of which a median would
        see the short gaps only, so loading counts by its whole time.
        """
        if self.case.task is Task.LOADING:
            total = sum(restart.host_seconds)
            return self.case.images_per_call * len(restart.host_seconds) / total if total else None
        seconds = restart.call_seconds
        return self.case.images_per_call / seconds if seconds else None

    @property
    def images_per_second(self) -> float | None:
        """Images in a call over the median, over measured restarts, of their seconds for one; None without any."""
        rates = [self.rate(restart) for restart in self.restarts if restart.status is SpeedStatus.MEASURED]
        known = [1.0 / rate for rate in rates if rate]
        return 1.0 / statistics.median(known) if known else None

    @property
    def status(self) -> SpeedStatus:
        """``measured`` when any restart was."""
        found = [restart.status for restart in self.restarts]
        return SpeedStatus.MEASURED if SpeedStatus.MEASURED in found else found[0]
