"""Times the training loader without a network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from segbench.config.plan import Run
from segbench.data.loading.loader import Batch, TrainingLoader
from segbench.engine.run.data import open_run_data
from segbench.errors import DataError
from segbench.results.speed.record import Restart, SpeedStatus
from segbench.speed.measure.conditions import watched
from segbench.speed.measure.memory import read_peak, reset_peak, resident_bytes
from segbench.speed.measure.timer import Timer

LEAST_BATCHES = 2


def time_loading(run: Run, timer: Timer) -> Restart:
    """Draw batches from a run's training loader and throw them away.

    ``start`` is the time until the first batch. ``first`` holds the seconds of each further batch of the first epoch,
    which fills the cache with ``cache: memory`` or ``disk``. ``later`` holds those of later epochs. Each takes up to
    half of the timer's seconds. ``host_seconds`` are those of ``later``.

    Raises:
        DataError: The data cannot be read, or an epoch has too few batches to be timed.
    """
    materials = open_run_data(run)
    _ = materials.images  # a run measures normalization statistics before it starts; that is not timed
    before, started = resident_bytes(), time.perf_counter()
    with materials.training_loader() as loader:
        if len(loader) < LEAST_BATCHES:
            raise DataError(
                f"an epoch of {len(loader)} batches is too short to time the loader; "
                f"it takes {LEAST_BATCHES}: lower train.batch_size or use more images"
            )
        first_epoch = loader.epoch(1)
        next(first_epoch)
        start = time.perf_counter() - started
        reset_peak(timer.device)
        with watched(timer.device) as watch:
            first = _between(first_epoch, timer.seconds / 2)
            later = _between(_later_epochs(loader), timer.seconds / 2)
    return Restart(
        status=SpeedStatus.MEASURED,
        host_seconds=later,
        parts_seconds={"start": (start,), "first": first, "later": later},
        memory=read_peak(timer.device, before=before),
        conditions=watch.conditions,
    )


def _later_epochs(loader: TrainingLoader) -> Iterator[Batch]:
    for epoch in count(2):
        yield from loader.epoch(epoch)


def _between(batches: Iterator[Batch], seconds: float) -> tuple[float, ...]:
    """Return the seconds between batches until the batches or the time run out, at least one."""
    times: list[float] = []
    started = last = time.perf_counter()
    for _ in batches:
        now = time.perf_counter()
        times.append(now - last)
        last = now
        if now - started > seconds:
            break
    return tuple(times)
