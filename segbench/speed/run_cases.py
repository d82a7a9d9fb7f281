"""Measures cases in turn, each restart in a fresh process; doubles batches in sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from segbench.config.plan import source_digest
from segbench.config.suite import Speed
from segbench.engine.device import choose_device
from segbench.engine.processes import ProcessDied, call_in_fresh_process, call_in_process
from segbench.results.speed.record import Restart, SpeedCase, SpeedRecord, SpeedStatus
from segbench.speed.cases import PlannedCase
from segbench.speed.measure.case import fingerprint, measure

SWEEP_GAIN = 1.03
"""A sweep ends if doubling the batch raises throughput by less than this factor."""
LARGEST_BATCH = 4096
INTERLEAVED = 12
"""Number of cases measured in turn; at most these are lost if a measurement is interrupted."""
SLOW_RESTARTS = 2
"""Restarts of a case whose single call takes longer than ``Settings.seconds``."""


Restarts = list[list[Restart]]


class Tell(Protocol):
    """Progress callback: the current case, the restarts done, and the total known so far."""

    def __call__(self, done: int, total: int, title: str) -> None:
        """Report the progress."""


@dataclass(frozen=True)
class Settings:
    """How cases are measured.

    Attributes:
        device: cpu, cuda, cuda:N or mps.
        restarts: Fresh processes for each case.
        seconds: Time for the samples of one restart.
        energy: Whether the accelerator's energy is measured too.
        slow_restarts: Number of fresh processes for a case whose single call takes longer than ``seconds``; None: the
            same as for other cases.
    """

    device: str
    restarts: int
    seconds: float
    energy: bool = True
    slow_restarts: int | None = None

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @classmethod
    def of(cls, speed: Speed, *, device: str) -> Settings:
        """Return the settings of a suite's block on a device; ``auto`` is resolved.

        Raises:
            UsageError: The device does not exist here.
        """
        place = str(choose_device(device))
        return cls(place, speed.restarts, speed.seconds, energy=speed.energy, slow_restarts=SLOW_RESTARTS)


def measure_cases(
    planned: Sequence[PlannedCase],
    settings: Settings,
    *,
    call: Callable[..., Any] = call_in_fresh_process,
    describe: Callable[..., Any] = call_in_process,
    tell: Tell = lambda done, total, title: None,
) -> Iterator[SpeedRecord]:
    """Measure all cases; yields each record when it is complete. Sweeps come last, with one record per batch size.

    Args:
        planned: The cases.
        settings: Device, restarts, seconds.
        call: Calls a function with arguments; by default in a fresh process.
        describe: Calls the function that returns the machine's fingerprint, in the same way.
        tell: Progress callback.

    Raises:
        UsageError: A case, its recipe or its data is invalid.
    """
    count = Count(len(planned) * settings.restarts, settings.restarts, tell)
    singles = [one for one in planned if not one.sweeps]
    machines: dict[int | None, dict[str, Any]] = {}

    def record_of(planned: PlannedCase, restarts: Sequence[Restart]) -> SpeedRecord:
        threads = planned.case.threads
        if threads not in machines:
            machines[threads] = describe(fingerprint, settings.device, threads)
        return SpeedRecord(
            case=planned.case,
            restarts=tuple(restarts),
            environment=machines[threads],
            source_digest=source_digest(str(planned.case.model.get("name"))),
            seconds=settings.seconds,
        )

    for start in range(0, len(singles), INTERLEAVED):
        together = singles[start : start + INTERLEAVED]
        for one, restarts in zip(together, _interleaved(together, settings, call, count), strict=True):
            yield record_of(one, restarts)
    for first in planned:
        best, current = 0.0, first
        while first.sweeps:
            (restarts,) = _interleaved([current], settings, call, count)
            record = record_of(current, restarts)
            yield record
            rate = record.images_per_second
            if rate is None or not goes_on(current, rate, best):
                break
            best, current = max(best, rate), doubled(current)
            count.total += settings.restarts
    tell(count.total, count.total, "done")


@dataclass
class Count:
    """Counts restarts for progress reports.

    Attributes:
        total: Total number of restarts.
        each: Number of restarts per case.
        tell: Progress callback.
        cases: Number of cases done.
    """

    total: int
    each: int
    tell: Tell
    cases: int = 0

    def begins(self, done: int, case: SpeedCase) -> None:
        """Report that a restart begins."""
        self.tell(self.cases * self.each + done, self.total, case.key)


def _interleaved(
    together: Sequence[PlannedCase], settings: Settings, call: Callable[..., Any], count: Count
) -> Restarts:
    """Measure cases in turn, restart by restart, so that a slow minute affects at most one restart of each."""
    found: Restarts = [[] for _ in together]
    for turn in range(settings.restarts):
        for number, (one, restarts) in enumerate(zip(together, found, strict=True)):
            if not is_enough(restarts, settings):
                count.begins(turn * len(together) + number, one.case)
                restarts.append(_restart(one, settings, call))
    count.cases += len(together)
    return found


def _restart(planned: PlannedCase, settings: Settings, call: Callable[..., Any]) -> Restart:
    try:
        restart: Restart = call(measure, planned.case, settings.device, settings.seconds, planned.run, settings.energy)
    except ProcessDied as death:
        killed = "SIGKILL" in str(death)
        return Restart(
            status=SpeedStatus.OUT_OF_MEMORY if killed else SpeedStatus.FAILED,
            reason=str(death),
        )
    return restart


def is_enough(restarts: Sequence[Restart], settings: Settings) -> bool:
    """Return whether a case has enough restarts.

    The number asked for is enough. Skipped cases are not tried again. Cases with slow calls may need fewer restarts,
    because each sample already averages over seconds.
    """
    if len(restarts) >= settings.restarts:
        return True
    if any(restart.status is SpeedStatus.SKIPPED for restart in restarts):
        return True
    calls = [restart.call_seconds for restart in restarts]
    wanted = settings.slow_restarts or settings.restarts
    return len(restarts) >= wanted and all(call is not None and call > settings.seconds for call in calls)


def goes_on(planned: PlannedCase, rate: float, best: float) -> bool:
    """Return whether a sweep tries the next batch size, given the throughput of this one and the best before."""
    return rate >= SWEEP_GAIN * best and 2 * planned.case.batch_size <= LARGEST_BATCH


def doubled(planned: PlannedCase) -> PlannedCase:
    """Return the case with twice the batch size."""
    return replace(planned, case=planned.case.model_copy(update={"batch_size": 2 * planned.case.batch_size}))
