"""Times a suite's training loader for ``doctor --networks``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segbench.config.sections.training import Speed
from segbench.config.suite import Suite
from segbench.engine.processes import call_in_process
from segbench.errors import SegbenchError
from segbench.results.speed.record import SpeedStatus

if TYPE_CHECKING:
    from segbench.engine.doctor.cases import Images

LOADER_SECONDS = 6.0
"""Time for the loader, half of it for the first epoch; the start of the workers is not included."""


@dataclass(frozen=True)
class Loading:
    """The speed of a suite's training loader.

    Attributes:
        problem: Why it is unknown.
        images_per_second: Throughput after the first epoch, without training.
        first_batch_seconds: From opening the data to the first batch.
        workers: Worker processes.
        batch_size: Images in a batch.
    """

    problem: str | None = None
    images_per_second: float | None = None
    first_batch_seconds: float | None = None
    workers: int | None = None
    batch_size: int | None = None


def time_loader(suite: Suite, images: Images, deadline: float | None) -> Loading | None:
    """Time the loader of a suite's training split; None for a suite that trains nothing.

    Args:
        suite: The suite.
        images: The inputs of its networks, or why its data cannot be read.
        deadline: When to stop, by ``time.monotonic``; None for never.
    """
    from segbench.engine.doctor.checkup import OUT_OF_TIME

    if suite.train is None:
        return Loading(problem=images.problem) if images.problem else None
    if images.problem is not None:
        text = f"{images.problem}; the networks were tried on images of an assumed size and {images.classes} classes"
        return Loading(problem=text)
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        return Loading(problem=OUT_OF_TIME)
    try:
        return _timed_loading(suite, left)
    except SegbenchError as error:
        return Loading(problem=str(error))


def _timed_loading(suite: Suite, left: float | None) -> Loading:
    from segbench.engine.doctor.checkup import stopping_after
    from segbench.speed.cases import suite_cases
    from segbench.speed.measure.case import measure

    block = Speed(tasks=("loading",))
    (planned,) = suite_cases(suite.model_copy(update={"speed": block}), device="cpu")
    seconds = LOADER_SECONDS if left is None else min(LOADER_SECONDS, left)
    with stopping_after(left):
        found = call_in_process(measure, planned.case, "cpu", seconds, planned.run, False)
    if found.status is not SpeedStatus.MEASURED:
        return Loading(problem=found.reason)
    return Loading(
        images_per_second=planned.case.batch_size * len(found.host_seconds) / sum(found.host_seconds),
        first_batch_seconds=found.parts_seconds["start"][0],
        workers=planned.case.workers,
        batch_size=planned.case.batch_size,
    )
