"""Measures cases one after the other, each restart in a fresh process, batches doubled where that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from segbench.config.plan import source_digest
from segbench.config.suite import Speed
from segbench.engine.arithmetic import choose_device
from segbench.engine.events import ignore
from segbench.engine.processes import ProcessDied, call_in_fresh_process, call_in_process
from segbench.results.speed_record import Restart, SpeedRecord, SpeedStatus
from segbench.speed.cases import Planned
from segbench.speed.measure import fingerprint, measure

SWEEP_GAIN = 1.03
"""A doubled batch that raises throughput by less than this ends a sweep."""
LARGEST_BATCH = 4096


class Tell(Protocol):
    """Told which case is measured, how many restarts are done and how many are known to be in all."""

    def __call__(self, done: int, total: int, title: str) -> None:
        """Show it."""


@dataclass(frozen=True)
class Settings:
    """How cases are measured.

    Attributes:
        device: cpu, cuda, cuda:N or mps.
        restarts: Fresh processes for each case.
        seconds: Time for the samples of one restart.
        energy: Whether the accelerator's energy is measured too, which takes five seconds more.
    """

    device: str
    restarts: int
    seconds: float
    energy: bool = True

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @classmethod
    def of(cls, speed: Speed, *, device: str) -> Settings:
        """Return those of a suite's block on a device (``auto`` is resolved).

        Raises:
            UsageError: There is no such device here.
        """
        return cls(str(choose_device(device)), speed.restarts, speed.seconds)


def measure_cases(
    planned: Sequence[Planned],
    settings: Settings,
    *,
    call: Callable[..., Any] = call_in_fresh_process,
    describe: Callable[..., Any] = call_in_process,
    tell: Tell = lambda done, total, title: None,
) -> Iterator[SpeedRecord]:
    """Measure every case; records come as they are complete, those of a sweep one a batch.

    Args:
        planned: The cases.
        settings: Device, restarts, seconds.
        call: Calls a function with arguments and an observer; in a fresh process of its own by default.
        describe: Calls in the same way what describes the machine.
        tell: Told of the progress.

    Raises:
        UsageError: A case, its recipe or its data is wrong.
    """
    done, total = 0, len(planned) * settings.restarts
    machines: dict[int | None, dict[str, Any]] = {}
    for first in planned:
        best, current = 0.0, first
        while True:
            restarts = []
            for _ in range(settings.restarts):
                tell(done, total, current.case.key)
                restarts.append(_restart(current, settings, call))
                done += 1
            threads = current.case.threads
            if threads not in machines:
                machines[threads] = describe(fingerprint, settings.device, threads, observer=ignore)
            record = SpeedRecord(
                case=current.case,
                restarts=tuple(restarts),
                environment=machines[threads],
                source_digest=source_digest(str(current.case.model.get("name"))),
                seconds=settings.seconds,
            )
            yield record
            rate = record.images_per_second
            if not first.sweeps or rate is None or not goes_on(current, rate, best):
                break
            best, current, total = max(best, rate), doubled(current), total + settings.restarts
    tell(done, total, "done")


def _restart(planned: Planned, settings: Settings, call: Callable[..., Any]) -> Restart:
    try:
        restart: Restart = call(
            measure, planned.case, settings.device, settings.seconds, planned.run, settings.energy, observer=ignore
        )
    except ProcessDied as death:
        killed = "SIGKILL" in str(death)
        return Restart(
            status=SpeedStatus.OUT_OF_MEMORY if killed else SpeedStatus.FAILED,
            reason=str(death),
        )
    return restart


def goes_on(planned: Planned, rate: float, best: float) -> bool:
    """Tell whether a sweep tries the next batch after one of so many images a second, the best before being given."""
    return rate >= SWEEP_GAIN * best and 2 * planned.case.batch_size <= LARGEST_BATCH


def doubled(planned: Planned) -> Planned:
    """Return the same case with twice the batch."""
    return replace(planned, case=planned.case.model_copy(update={"batch_size": 2 * planned.case.batch_size}))
